import { Anchor, Button, Center, Loader, Stack, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { Link, Navigate } from 'react-router';
import { toProblem } from '../api/problem';
import { ProblemAlert } from '../app/ProblemAlert';
import { usePageTitle } from '../app/usePageTitle';
import { useSignInMethods } from './methods';
import { NewAccountForm } from './NewAccountForm';
import { useMe } from './session';
import { SignInFrame } from './SignInFrame';

/** Make an account, where anybody may; else what to do instead. */
export function RegisterPage() {
  const { t } = useTranslation();
  const me = useMe();
  const methods = useSignInMethods();
  usePageTitle(t('register.title'));
  if (me.data) return <Navigate to="/files" replace />;
  const registration = methods.data?.registration;
  return (
    <SignInFrame title={t('register.title')}>
      {methods.isError ? (
        <Stack>
          <ProblemAlert problem={toProblem(methods.error)} />
          <Button variant="default" onClick={() => void methods.refetch()}>
            {t('common.retry')}
          </Button>
        </Stack>
      ) : registration === undefined ? (
        <Center h={160}>
          <Loader aria-label={t('common.loading')} />
        </Center>
      ) : registration === 'open' ? (
        <NewAccountForm />
      ) : registration === 'sms' && methods.data?.sms ? (
        <Stack>
          <Text>{t('register.bySms')}</Text>
          <Button component={Link} to="/signin?way=sms" size="md">
            {t('register.toSms')}
          </Button>
        </Stack>
      ) : (
        <Text>{t('problems.registration_closed')}</Text>
      )}
      <Text size="sm" ta="center" mt="lg">
        <Anchor component={Link} to="/signin" inherit>
          {t('register.haveAccount')}
        </Anchor>
      </Text>
    </SignInFrame>
  );
}

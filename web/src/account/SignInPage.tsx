import { Alert, Anchor, Button, Tabs, Text } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, Navigate, useSearchParams } from 'react-router';
import { usePageTitle } from '../app/usePageTitle';
import { useSignInMethods } from './methods';
import { safeNext } from './next';
import { OtherWays } from './OtherWays';
import { PasswordForm } from './PasswordForm';
import { useMe } from './session';
import { SignInFrame } from './SignInFrame';
import { SmsForm } from './SmsForm';

/** Every way in that this drive offers. */
export function SignInPage() {
  const { t } = useTranslation();
  const [search] = useSearchParams();
  const [chosen, setChosen] = useState(search.get('way'));
  const [anyway, setAnyway] = useState(false);
  const me = useMe();
  const { data: methods } = useSignInMethods();
  // Administrators can use theirs in any case.
  const passwordOff = methods?.password === false && !anyway;
  const bySms = methods?.sms ?? false;
  const way = bySms && (chosen === 'sms' || (chosen === null && passwordOff)) ? 'sms' : 'password';
  const next = safeNext(search.get('next'));
  usePageTitle(t('signIn.title'));

  if (me.data) return <Navigate to={next} replace />;

  return (
    <SignInFrame>
      {search.has('problem') ? (
        <Alert color="red" role="alert" mb="md">
          {t(`problems.${search.get('problem') ?? ''}`, t('signIn.failed'))}
        </Alert>
      ) : (
        search.has('expired') && (
          <Alert color="lagoon" mb="md">
            {t('signIn.expired')}
          </Alert>
        )
      )}
      {bySms && (
        <Tabs id="ways" value={way} onChange={setChosen}>
          <Tabs.List grow mb="lg" aria-label={t('signIn.ways')}>
            <Tabs.Tab value="password">{t('signIn.byPassword')}</Tabs.Tab>
            <Tabs.Tab value="sms">{t('signIn.bySms')}</Tabs.Tab>
          </Tabs.List>
        </Tabs>
      )}
      {/* Not in the Tabs: what was typed before they came stays. */}
      <div {...(bySms && { role: 'tabpanel', id: `ways-panel-${way}`, 'aria-labelledby': `ways-tab-${way}` })}>
        {passwordOff && way === 'password' ? (
          <Button variant="subtle" size="compact-sm" fullWidth onClick={() => setAnyway(true)}>
            {t('signIn.passwordAnyway')}
          </Button>
        ) : methods?.sms && way === 'sms' ? (
          <SmsForm registers={methods.registration === 'sms' || methods.registration === 'open'} />
        ) : (
          <PasswordForm />
        )}
      </div>
      {methods && <OtherWays methods={methods} next={next} />}
      {methods?.registration === 'open' && methods.password && (
        <Text size="sm" ta="center" mt="lg">
          {t('signIn.noAccount')}{' '}
          <Anchor component={Link} to="/register" inherit>
            {t('register.title')}
          </Anchor>
        </Text>
      )}
    </SignInFrame>
  );
}

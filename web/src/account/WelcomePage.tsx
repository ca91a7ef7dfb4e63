import { Anchor, Button, Center, Loader, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState, type SubmitEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { api, body } from '../api/client';
import { toProblem } from '../api/problem';
import { faultsOf } from '../app/faults';
import { PasswordField } from '../app/PasswordField';
import { ProblemAlert } from '../app/ProblemAlert';
import { usePageTitle } from '../app/usePageTitle';
import { useEnterNew } from './enterNew';
import { useLinkToken } from './linkToken';
import { NewAccountForm } from './NewAccountForm';
import { SignInFrame } from './SignInFrame';

/** Where one-time links lead: make the account one was invited to, or set a new password. */
export function WelcomePage() {
  const { t } = useTranslation();
  const { token, nr } = useLinkToken();
  usePageTitle(t('welcome.title'));
  return token === '' ? (
    <SignInFrame title={t('welcome.title')}>
      <Text>{t('welcome.noToken')}</Text>
      <ToSignIn />
    </SignInFrame>
  ) : (
    // Another link is another page: nothing that was typed for the one before may stay.
    <OneTimeLink key={nr} token={token} nr={nr} />
  );
}

function OneTimeLink({ token, nr }: { token: string; nr: number }) {
  const { t } = useTranslation();
  const link = useQuery({
    // The token stays out of the key: caches are looked at.
    queryKey: ['link', nr],
    queryFn: async () => body(await api.POST('/api/v1/auth/link', { body: { token } })),
    gcTime: 0,
    staleTime: Infinity,
  });
  if (link.data?.purpose === 'invite') {
    return (
      <SignInFrame title={t('welcome.title')} text={t('welcome.invited')}>
        <NewAccountForm invite={token} />
      </SignInFrame>
    );
  }
  if (link.data) {
    return (
      <SignInFrame title={t('account.newPassword')}>
        <NewPasswordForm token={token} login={link.data.login ?? ''} />
      </SignInFrame>
    );
  }
  return (
    <SignInFrame title={t('welcome.title')}>
      {link.isError ? (
        <Stack>
          <ProblemAlert problem={toProblem(link.error)} />
          {toProblem(link.error).code !== 'bad_link' && (
            <Button variant="default" onClick={() => void link.refetch()}>
              {t('common.retry')}
            </Button>
          )}
          <ToSignIn />
        </Stack>
      ) : (
        <Center h={160}>
          <Loader aria-label={t('common.loading')} />
        </Center>
      )}
    </SignInFrame>
  );
}

function NewPasswordForm({ token, login }: { token: string; login: string }) {
  const { t } = useTranslation();
  const enter = useEnterNew();
  const [password, setPassword] = useState('');
  const [missing, setMissing] = useState(false);
  const reset = useMutation({
    mutationFn: async () => {
      await api.POST('/api/v1/auth/reset', { body: { token, password } });
      await enter({ login, password });
    },
  });
  const { at, rest } = faultsOf(reset.error, ['password']);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    setMissing(password === '');
    if (password !== '') reset.mutate();
  };
  return (
    <form onSubmit={submit} noValidate>
      <Stack>
        <ProblemAlert problem={rest} />
        <TextInput label={t('signIn.login')} value={login} readOnly autoComplete="username" size="md" />
        <PasswordField
          label={t('account.newPassword')}
          description={t('account.passwordHint')}
          autoComplete="new-password"
          size="md"
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          error={missing ? t('signIn.passwordNeeded') : at.password}
        />
        <Text size="sm" c="dimmed">
          {t('account.passwordEnds')}
        </Text>
        <Button type="submit" size="md" mt="xs" loading={reset.isPending}>
          {t('account.setPassword')}
        </Button>
      </Stack>
    </form>
  );
}

function ToSignIn() {
  const { t } = useTranslation();
  return (
    <Text size="sm" ta="center" mt="lg">
      <Anchor component={Link} to="/signin" inherit>
        {t('welcome.toSignIn')}
      </Anchor>
    </Text>
  );
}

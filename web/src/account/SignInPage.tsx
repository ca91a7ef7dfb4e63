import { Alert, Button, Paper, PasswordInput, Stack, Text, TextInput, Title } from '@mantine/core';
import { useForm } from '@mantine/form';
import { IconAlertCircle } from '@tabler/icons-react';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { Navigate, useSearchParams } from 'react-router';
import { toProblem } from '../api/problem';
import { LanguageMenu } from '../app/LanguageMenu';
import { Logo } from '../app/Logo';
import { problemLine } from '../app/notices';
import { ThemeMenu } from '../app/ThemeMenu';
import { usePageTitle } from '../app/usePageTitle';
import { safeNext } from './next';
import { useMe, useSignIn } from './session';
import classes from './SignInPage.module.css';

export function SignInPage() {
  const { t } = useTranslation();
  const [search] = useSearchParams();
  const me = useMe();
  const signIn = useSignIn();
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => first.current?.focus(), []);
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: { login: '', password: '' },
    validate: {
      login: (value) => (value.trim() === '' ? t('signIn.loginNeeded') : null),
      password: (value) => (value === '' ? t('signIn.passwordNeeded') : null),
    },
  });
  usePageTitle(t('signIn.title'));

  if (me.data) return <Navigate to={safeNext(search.get('next'))} replace />;

  const problem = signIn.error && toProblem(signIn.error);
  return (
    <div className={classes.page}>
      <main className={classes.main}>
        <Paper className={classes.card} radius="lg">
          <Stack gap="xs" align="center" mb="lg">
            <Logo size={56} />
            <Title order={1}>{t('app.name')}</Title>
            <Text c="dimmed">{t('signIn.tagline')}</Text>
          </Stack>
          <form onSubmit={form.onSubmit((values) => signIn.mutate(values))} noValidate>
            <Stack>
              {search.has('expired') && !problem && <Alert color="lagoon">{t('signIn.expired')}</Alert>}
              {problem && (
                <Alert color="red" icon={<IconAlertCircle />} role="alert">
                  {problem.status === 401 ? t('signIn.wrong') : problemLine(problem)}
                </Alert>
              )}
              <TextInput
                label={t('signIn.login')}
                ref={first}
                autoComplete="username"
                autoCapitalize="none"
                spellCheck={false}
                size="md"
                key={form.key('login')}
                {...form.getInputProps('login')}
              />
              <PasswordInput
                label={t('signIn.password')}
                autoComplete="current-password"
                size="md"
                key={form.key('password')}
                {...form.getInputProps('password')}
              />
              <Button type="submit" size="md" mt="xs" loading={signIn.isPending}>
                {t('signIn.submit')}
              </Button>
            </Stack>
          </form>
        </Paper>
      </main>
      <footer className={classes.footer}>
        <LanguageMenu />
        <ThemeMenu />
      </footer>
    </div>
  );
}

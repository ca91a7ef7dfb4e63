import { Button, Stack, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { PasswordField } from '../app/PasswordField';
import { ProblemAlert } from '../app/ProblemAlert';
import { SecondStep } from './SecondStep';
import { useSignInSteps } from './signInSteps';

/** Sign in by login and password. */
export function PasswordForm() {
  const { t } = useTranslation();
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => first.current?.focus(), []);
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: { login: '', password: '', totp: '' },
    validate: {
      login: (value) => (value.trim() === '' ? t('signIn.loginNeeded') : null),
      password: (value) => (value === '' ? t('signIn.passwordNeeded') : null),
      totp: (value) => (steps.second && value.trim() === '' ? t('signIn.codeNeeded') : null),
    },
  });
  const steps = useSignInSteps(['login', 'password'], (errors) => form.setErrors(errors));
  return (
    <form onSubmit={form.onSubmit(({ login, password, totp }) => steps.send({ login, password }, totp))} noValidate>
      <Stack>
        <ProblemAlert problem={steps.problem} />
        <Stack display={steps.second ? 'none' : undefined}>
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
          <PasswordField
            label={t('signIn.password')}
            autoComplete="current-password"
            size="md"
            key={form.key('password')}
            {...form.getInputProps('password')}
          />
        </Stack>
        {steps.second && <SecondStep key={form.key('totp')} field={form.getInputProps('totp')} onBack={steps.back} />}
        <Button type="submit" size="md" mt="xs" loading={steps.pending}>
          {t('signIn.submit')}
        </Button>
      </Stack>
    </form>
  );
}

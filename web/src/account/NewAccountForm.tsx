import { Button, Stack, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useMutation } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { api } from '../api/client';
import { faultsOf } from '../app/faults';
import { PasswordField } from '../app/PasswordField';
import { ProblemAlert } from '../app/ProblemAlert';
import { useEnterNew } from './enterNew';

/** Makes an account, by an invitation or where anybody may, and signs in to it. */
export function NewAccountForm({ invite }: { invite?: string }) {
  const { t } = useTranslation();
  const enter = useEnterNew();
  const register = useMutation({
    mutationFn: async ({ login, name, password }: { login: string; name: string; password: string }) => {
      await api.POST('/api/v1/auth/register', {
        body: {
          login: login.trim(),
          password,
          ...(name.trim() && { name: name.trim() }),
          ...(invite !== undefined && { invite }),
        },
      });
      await enter({ login: login.trim(), password });
    },
  });
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: { login: '', name: '', password: '' },
    validate: {
      login: (value) => (value.trim() === '' ? t('signIn.loginNeeded') : null),
      password: (value) => (value === '' ? t('signIn.passwordNeeded') : null),
    },
  });
  const fields = ['login', 'name', 'password'];
  const submit = (values: typeof form.values) =>
    register.mutate(values, { onError: (error) => form.setErrors(faultsOf(error, fields).at) });
  return (
    <form onSubmit={form.onSubmit(submit)} noValidate>
      <Stack>
        <ProblemAlert problem={faultsOf(register.error, fields).rest} />
        <TextInput
          label={t('signIn.login')}
          description={t('account.loginHint')}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          size="md"
          key={form.key('login')}
          {...form.getInputProps('login')}
        />
        <TextInput
          label={t('account.name')}
          description={t('register.nameHint')}
          autoComplete="name"
          size="md"
          maxLength={64}
          key={form.key('name')}
          {...form.getInputProps('name')}
        />
        <PasswordField
          label={t('signIn.password')}
          description={t('account.passwordHint')}
          autoComplete="new-password"
          size="md"
          key={form.key('password')}
          {...form.getInputProps('password')}
        />
        <Button type="submit" size="md" mt="xs" loading={register.isPending}>
          {t('register.title')}
        </Button>
      </Stack>
    </form>
  );
}

import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import { faultsOf } from '../app/faults';
import { FormDialog } from '../app/FormDialog';
import { PasswordField } from '../app/PasswordField';
import { useChange } from '../app/useChange';
import { adminKeys } from './keys';
import { RoleSelect } from './RoleSelect';
import type { UserRole } from './users';
import type { PasswordLink } from './UsersPage';

interface CreateUserDialogProps {
  /** Called with the link to set a password, or without where a password was given. */
  onCreated: (link: PasswordLink | undefined) => void;
  onClose: () => void;
}

const fields = ['login', 'name', 'phone', 'password'] as const;

export function CreateUserDialog({ onCreated, onClose }: CreateUserDialogProps) {
  const { t } = useTranslation();
  const [role, setRole] = useState<UserRole>('user');
  const [values, setValues] = useState({ login: '', name: '', phone: '', password: '' });
  const [missing, setMissing] = useState(false);
  const create = useChange({
    run: async () => {
      const { login, name, phone, password } = values;
      return body(
        await api.POST('/api/v1/admin/users', {
          body: {
            login: login.trim(),
            role,
            ...(name.trim() && { name: name.trim() }),
            ...(phone.trim() && { phone: phone.trim() }),
            ...(password && { password }),
          },
        }),
      );
    },
    reads: [adminKeys.users],
    done: ({ user }) => t('users.created', { name: user.login }),
  });
  const { at, rest } = faultsOf(create.error, fields);
  const submit = () => {
    const lacks = values.login.trim() === '';
    setMissing(lacks);
    if (lacks) return;
    create.mutate(undefined, {
      onSuccess: ({ user, link, linkExpiresAt }) =>
        onCreated(link === undefined ? undefined : { user, link, expiresAt: linkExpiresAt ?? '' }),
    });
  };
  const field = (key: (typeof fields)[number]) => ({
    value: values[key],
    onChange: (event: { currentTarget: { value: string } }) => {
      const { value } = event.currentTarget;
      setValues((before) => ({ ...before, [key]: value }));
    },
    error: at[key],
  });
  return (
    <FormDialog
      title={t('users.create')}
      submit={t('keys.submit')}
      pending={create.isPending}
      problem={rest}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextInput
        label={t('signIn.login')}
        description={t('account.loginHint')}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        data-autofocus
        {...field('login')}
        error={missing ? t('signIn.loginNeeded') : at.login}
      />
      <TextInput label={t('account.name')} autoComplete="off" maxLength={64} {...field('name')} />
      <TextInput label={t('signIn.phone')} type="tel" inputMode="tel" autoComplete="off" {...field('phone')} />
      <RoleSelect value={role} onChange={setRole} />
      <PasswordField
        label={t('signIn.password')}
        description={t('users.passwordHint')}
        autoComplete="new-password"
        {...field('password')}
      />
    </FormDialog>
  );
}

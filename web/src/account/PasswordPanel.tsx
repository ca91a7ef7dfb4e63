import { Button } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api } from '../api/client';
import { faultsOf } from '../app/faults';
import { Panel } from '../app/Panel';
import { PasswordField } from '../app/PasswordField';
import { useChange } from '../app/useChange';
import { accountKeys } from './keys';
import { useSessionUser } from './session';
import { SureDialog, type Sure } from './SureDialog';

export function PasswordPanel() {
  const { t } = useTranslation();
  const { hasPassword } = useSessionUser();
  const [asking, setAsking] = useState(false);
  return (
    <Panel
      title={t('signIn.password')}
      text={t(hasPassword ? 'account.passwordText' : 'account.noPassword')}
      actions={
        <Button variant="default" onClick={() => setAsking(true)}>
          {t(hasPassword ? 'account.changePassword' : 'account.setPassword')}
        </Button>
      }
    >
      {asking && <PasswordDialog onClose={() => setAsking(false)} />}
    </Panel>
  );
}

function PasswordDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const { hasPassword, login } = useSessionUser();
  const [password, setPassword] = useState('');
  const [missing, setMissing] = useState(false);
  const save = useChange({
    run: (sure: Sure) => api.PUT('/api/v1/me/password', { body: { password, ...sure } }),
    reads: [accountKeys.me, accountKeys.sessions],
    done: () => t('account.passwordSaved'),
  });
  const submit = (sure: Sure) => {
    setMissing(password === '');
    if (password !== '') save.mutate(sure, { onSuccess: onClose });
  };
  return (
    <SureDialog
      title={t(hasPassword ? 'account.changePassword' : 'account.setPassword')}
      text={t('account.passwordEnds')}
      submit={t('common.save')}
      pending={save.isPending}
      error={save.error}
      fields={['password']}
      onSubmit={submit}
      onClose={onClose}
    >
      {/* Password managers keep a password under the login that they find beside it. */}
      <input type="text" name="username" autoComplete="username" value={login} readOnly hidden />
      <PasswordField
        label={t('account.newPassword')}
        description={t('account.passwordHint')}
        autoComplete="new-password"
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
        error={missing ? t('signIn.passwordNeeded') : faultsOf(save.error, ['password']).at.password}
        data-autofocus
      />
    </SureDialog>
  );
}

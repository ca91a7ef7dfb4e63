import { Alert, Button, Group, Text } from '@mantine/core';
import { useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { toProblem } from '../api/problem';
import { faultsOf } from '../app/faults';
import { FormDialog } from '../app/FormDialog';
import { problemText } from '../app/notices';
import { PasswordField } from '../app/PasswordField';
import { useSessionUser, useSignOut } from './session';

/** What shows that the person at the keyboard is the account's owner. */
export interface Sure {
  currentPassword?: string;
}

interface SureDialogProps {
  title: string;
  text?: string;
  submit: string;
  danger?: boolean;
  pending: boolean;
  error: Error | null;
  /** Fields of the children, where the server's sentences about them are shown. */
  fields?: readonly string[];
  onSubmit: (sure: Sure) => void;
  onClose: () => void;
  children?: ReactNode;
}

/**
 * Asks for the current password before an act that matters, where the account has one. Without one, a session that
 * is not fresh has to be begun anew.
 */
export function SureDialog(props: SureDialogProps) {
  const { title, text, submit, danger = false, pending, error, fields = [], onSubmit, onClose, children } = props;
  const { t } = useTranslation();
  const { hasPassword } = useSessionUser();
  const signOut = useSignOut();
  const [currentPassword, setCurrentPassword] = useState('');
  const [missing, setMissing] = useState(false);
  const stale = error !== null && toProblem(error).code === 'reauthenticate';
  const { at, rest } = faultsOf(error, [...fields, 'currentPassword']);
  const send = () => {
    const lacks = hasPassword && currentPassword === '';
    setMissing(lacks);
    if (!lacks) onSubmit(hasPassword ? { currentPassword } : {});
  };
  return (
    <FormDialog
      title={title}
      submit={submit}
      danger={danger}
      pending={pending}
      problem={stale ? undefined : rest}
      onSubmit={send}
      onClose={onClose}
    >
      {text && <Text size="sm">{text}</Text>}
      {children}
      {hasPassword && (
        <PasswordField
          label={t('account.currentPassword')}
          autoComplete="current-password"
          value={currentPassword}
          onChange={(event) => setCurrentPassword(event.currentTarget.value)}
          error={missing ? t('signIn.passwordNeeded') : at.currentPassword}
        />
      )}
      {stale && (
        <Alert color="lagoon" role="alert">
          {problemText(toProblem(error))}
          <Group mt="sm">
            {/* The page then leads to the sign-in and back here. */}
            <Button size="xs" loading={signOut.isPending} onClick={() => signOut.mutate()}>
              {t('account.signInAgain')}
            </Button>
          </Group>
        </Alert>
      )}
    </FormDialog>
  );
}

import { Image, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import { toProblem } from '../api/problem';
import type { components } from '../api/schema.gen';
import { faultsOf } from '../app/faults';
import { FormDialog } from '../app/FormDialog';
import { problemText } from '../app/notices';
import { Secret } from '../app/Secret';
import { useChange } from '../app/useChange';
import { accountKeys } from './keys';
import classes from './TotpDialog.module.css';

export type TotpSecret = components['schemas']['TOTPSecret'];

interface TotpDialogProps {
  secret: TotpSecret;
  onCodes: (codes: string[]) => void;
  onClose: () => void;
}

/** Hands the secret to an authenticator app, and asks for the first code as a proof that it got there. */
export function TotpDialog({ secret, onCodes, onClose }: TotpDialogProps) {
  const { t } = useTranslation();
  const [code, setCode] = useState('');
  const [missing, setMissing] = useState(false);
  const confirm = useChange({
    run: async (totp: string) => body(await api.PUT('/api/v1/me/totp', { body: { totp } })),
    reads: [accountKeys.me],
  });
  const submit = () => {
    setMissing(code === '');
    if (code !== '') confirm.mutate(code, { onSuccess: ({ codes }) => onCodes(codes) });
  };
  const wrong = confirm.error && toProblem(confirm.error).code === 'bad_totp';
  const { at, rest } = faultsOf(confirm.error, ['totp']);
  return (
    <FormDialog
      title={t('totp.turnOn')}
      submit={t('totp.turnOn')}
      pending={confirm.isPending}
      problem={wrong ? undefined : rest}
      onSubmit={submit}
      onClose={onClose}
    >
      <Text size="sm">{t('totp.scan')}</Text>
      <Image src={secret.qr} alt={t('totp.qr')} className={classes.qr} />
      <Secret label={t('totp.secret')} value={secret.secret} />
      <TextInput
        label={t('signIn.totp')}
        autoComplete="one-time-code"
        inputMode="numeric"
        maxLength={6}
        value={code}
        onChange={(event) => setCode(event.currentTarget.value.replace(/\D/g, ''))}
        error={missing ? t('signIn.codeNeeded') : (at.totp ?? (wrong && problemText(toProblem(confirm.error))))}
        data-autofocus
      />
    </FormDialog>
  );
}

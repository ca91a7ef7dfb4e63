import { Button, Stack, Text, TextInput } from '@mantine/core';
import { useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { faultsOf } from '../app/faults';
import { ProblemAlert } from '../app/ProblemAlert';
import { useFormat } from '../i18n/format';
import classes from './CodeFields.module.css';
import type { Codes } from './codes';

interface CodeFieldsProps {
  codes: Codes;
  phone: string;
  code: string;
  onPhone: (phone: string) => void;
  onCode: (code: string) => void;
  errors: { phone?: string | undefined; code?: string | undefined };
}

/** A phone, the code that is sent to it, and the button that has it sent: all of it on one screen. */
export function CodeFields({ codes, phone, code, onPhone, onCode, errors }: CodeFieldsProps) {
  const { t } = useTranslation();
  const format = useFormat();
  const codeInput = useRef<HTMLInputElement>(null);
  const { at, rest } = faultsOf(codes.error, ['phone']);
  const send = () => codes.send(phone.trim(), { onSuccess: () => codeInput.current?.focus() });
  return (
    <Stack>
      <ProblemAlert problem={rest} />
      <TextInput
        label={t('signIn.phone')}
        type="tel"
        autoComplete="tel"
        inputMode="tel"
        placeholder="+86 138 0013 8000"
        size="md"
        value={phone}
        onChange={(event) => onPhone(event.currentTarget.value)}
        error={errors.phone ?? at.phone}
      />
      <div className={classes.code}>
        <TextInput
          label={t('signIn.code')}
          ref={codeInput}
          autoComplete="one-time-code"
          inputMode="numeric"
          maxLength={6}
          size="md"
          value={code}
          onChange={(event) => onCode(event.currentTarget.value.replace(/\D/g, ''))}
          error={errors.code}
        />
        <Button
          variant="light"
          size="md"
          className={classes.get}
          disabled={phone.trim() === '' || codes.wait > 0}
          loading={codes.pending}
          onClick={send}
        >
          {codes.wait > 0 ? t('signIn.codeWait', { seconds: codes.wait }) : t('signIn.getCode')}
        </Button>
      </div>
      <Text size="sm" c="dimmed" role="status" className={classes.status}>
        {codes.sent && t('signIn.codeSent', { phone: codes.sent.phone, time: format.duration(codes.sent.expiresIn) })}
      </Text>
    </Stack>
  );
}

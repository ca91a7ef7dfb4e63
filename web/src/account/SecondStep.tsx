import { Button, Text, TextInput, type TextInputProps } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

interface SecondStepProps {
  field: TextInputProps;
  onBack: () => void;
}

/** Asks for an authenticator app's code, or for a recovery code. */
export function SecondStep({ field, onBack }: SecondStepProps) {
  const { t } = useTranslation();
  const [recovery, setRecovery] = useState(false);
  return (
    <>
      <Text size="sm">{t(recovery ? 'signIn.recoveryText' : 'signIn.totpText')}</Text>
      <TextInput
        label={t(recovery ? 'signIn.recoveryCode' : 'signIn.totp')}
        autoComplete="one-time-code"
        inputMode={recovery ? 'text' : 'numeric'}
        autoCapitalize="characters"
        spellCheck={false}
        size="md"
        maxLength={64}
        ref={focusOnce}
        {...field}
      />
      <div>
        <Button variant="subtle" size="compact-sm" onClick={() => setRecovery(!recovery)}>
          {t(recovery ? 'signIn.useApp' : 'signIn.useRecovery')}
        </Button>
        <Button variant="subtle" size="compact-sm" onClick={onBack}>
          {t('common.back')}
        </Button>
      </div>
    </>
  );
}

/** The step appears because something was just typed: what is typed next belongs here. */
function focusOnce(input: HTMLInputElement | null) {
  input?.focus();
}

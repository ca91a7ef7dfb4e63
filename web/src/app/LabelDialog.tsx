import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { faultsOf } from './faults';
import { FormDialog } from './FormDialog';

interface LabelDialogProps {
  title: string;
  submit: string;
  initial: string;
  error: Error | null;
  pending: boolean;
  onSubmit: (name: string) => void;
  onClose: () => void;
}

/** Asks for the name of something that is no file: a device, a passkey, a group. */
export function LabelDialog({ title, submit, initial, error, pending, onSubmit, onClose }: LabelDialogProps) {
  const { t } = useTranslation();
  const [name, setName] = useState(initial);
  const [empty, setEmpty] = useState(false);
  const { at, rest } = faultsOf(error, ['name']);
  const send = () => {
    const text = name.trim();
    setEmpty(text === '');
    if (text === '') return;
    if (text === initial) onClose();
    else onSubmit(text);
  };
  return (
    <FormDialog title={title} submit={submit} pending={pending} problem={rest} onSubmit={send} onClose={onClose}>
      <TextInput
        label={t('common.name')}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        onFocus={(event) => event.currentTarget.select()}
        error={empty ? t('name.empty') : at.name}
        maxLength={64}
        autoComplete="off"
        data-autofocus
      />
    </FormDialog>
  );
}

import { Button, Group, Modal, TextInput } from '@mantine/core';
import { useRef, useState, type SubmitEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { toProblem } from '../api/problem';
import { problemLine } from '../app/notices';
import { nameFault, stemLength, type NameFault } from './path';

interface NameDialogProps {
  title: string;
  label: string;
  submit: string;
  initial: string;
  placeholder?: string;
  error: Error | null;
  pending: boolean;
  onSubmit: (name: string) => void;
  onClose: () => void;
}

/** Asks for a name and shows why one cannot be taken, before the server is asked and after. */
export function NameDialog(props: NameDialogProps) {
  const { title, label, submit, initial, placeholder, error, pending, onSubmit, onClose } = props;
  const { t } = useTranslation();
  const [name, setName] = useState(initial);
  const [fault, setFault] = useState<NameFault>();
  const selected = useRef(false);
  const send = (event: SubmitEvent) => {
    event.preventDefault();
    const found = nameFault(name);
    setFault(found);
    if (found) return;
    if (name === initial) onClose();
    else onSubmit(name);
  };
  return (
    <Modal opened onClose={onClose} title={title} closeButtonProps={{ 'aria-label': t('common.close') }}>
      <form onSubmit={send}>
        <TextInput
          label={label}
          placeholder={placeholder}
          value={name}
          onChange={(event) => {
            setFault(undefined);
            setName(event.currentTarget.value);
          }}
          onFocus={(event) => {
            // The extension is seldom what one wants to change.
            if (!selected.current) event.currentTarget.setSelectionRange(0, stemLength(initial));
            selected.current = true;
          }}
          error={fault ? t(`name.${fault}`) : error && problemLine(toProblem(error))}
          autoComplete="off"
          spellCheck={false}
          data-autofocus
        />
        <Group justify="flex-end" mt="lg">
          <Button variant="default" onClick={onClose}>
            {t('common.cancel')}
          </Button>
          <Button type="submit" loading={pending}>
            {submit}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}

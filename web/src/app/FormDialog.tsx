import { Button, Group, Modal, Stack } from '@mantine/core';
import type { ReactNode, SubmitEvent } from 'react';
import { useTranslation } from 'react-i18next';
import type { Problem } from '../api/problem';
import { ProblemAlert } from './ProblemAlert';

interface FormDialogProps {
  title: string;
  submit: string;
  danger?: boolean;
  pending: boolean;
  /** What is wrong and stands at no field. */
  problem: Problem | undefined;
  onSubmit: () => void;
  onClose: () => void;
  children: ReactNode;
}

/** Fields in a dialog, and the two ways out of it. */
export function FormDialog(props: FormDialogProps) {
  const { title, submit, danger = false, pending, problem, onSubmit, onClose, children } = props;
  const { t } = useTranslation();
  const send = (event: SubmitEvent) => {
    event.preventDefault();
    onSubmit();
  };
  return (
    <Modal opened onClose={onClose} title={title} closeButtonProps={{ 'aria-label': t('common.close') }}>
      <form onSubmit={send} noValidate>
        <Stack>
          <ProblemAlert problem={problem} />
          {children}
        </Stack>
        <Group justify="flex-end" mt="lg">
          <Button variant="default" onClick={onClose}>
            {t('common.cancel')}
          </Button>
          <Button type="submit" color={danger ? 'red.9' : 'lagoon'} loading={pending}>
            {submit}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}

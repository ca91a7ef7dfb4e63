import { Alert, Button, Group, Modal, Stack } from '@mantine/core';
import { IconEyeOff } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Secret } from './Secret';

interface SecretDialogProps {
  title: string;
  /** What it is for, and that it is not shown again. */
  text: string;
  label: string;
  value: string;
  onClose: () => void;
  children?: ReactNode;
}

/** Shows a secret the only time that it is known. A click beside the dialog does not lose it. */
export function SecretDialog({ title, text, label, value, onClose, children }: SecretDialogProps) {
  const { t } = useTranslation();
  return (
    <Modal opened onClose={onClose} title={title} closeOnClickOutside={false} withCloseButton={false}>
      <Stack>
        <Alert color="lagoon" icon={<IconEyeOff />}>
          {text}
        </Alert>
        <Secret label={label} value={value} />
        {children}
      </Stack>
      <Group justify="flex-end" mt="lg">
        <Button onClick={onClose}>{t('common.done')}</Button>
      </Group>
    </Modal>
  );
}

import { Button, Group, Modal, Radio, Stack, Text } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { baseName } from '../explorer/path';
import type { ConflictPolicy } from './item';

interface ConflictDialogProps {
  /** The first path that is taken. */
  name: string;
  /** Undefined uploads nothing. */
  onAnswer: (policy: ConflictPolicy | undefined) => void;
}

const choices = [
  { policy: 'rename', label: 'uploads.rename', hint: 'uploads.renameHint' },
  { policy: 'replace', label: 'uploads.replace', hint: 'uploads.replaceHint' },
  { policy: 'fail', label: 'uploads.skip', hint: 'uploads.skipHint' },
] as const;

/** Asks once, for a whole upload, what happens to names that are taken. */
export function ConflictDialog({ name, onAnswer }: ConflictDialogProps) {
  const { t } = useTranslation();
  const [policy, setPolicy] = useState<ConflictPolicy>('rename');
  return (
    <Modal
      opened
      onClose={() => onAnswer(undefined)}
      title={t('uploads.conflictTitle')}
      closeButtonProps={{ 'aria-label': t('common.close') }}
    >
      <Text style={{ overflowWrap: 'anywhere' }} mb="md">
        {t('uploads.conflictText', { name: baseName(name) })}
      </Text>
      <Radio.Group
        value={policy}
        onChange={(value) => setPolicy(choices.find((choice) => choice.policy === value)?.policy ?? 'rename')}
        aria-label={t('uploads.conflictTitle')}
      >
        <Stack gap="sm">
          {choices.map((choice) => (
            <Radio key={choice.policy} value={choice.policy} label={t(choice.label)} description={t(choice.hint)} />
          ))}
        </Stack>
      </Radio.Group>
      <Group justify="flex-end" mt="lg">
        <Button variant="default" onClick={() => onAnswer(undefined)}>
          {t('common.cancel')}
        </Button>
        <Button onClick={() => onAnswer(policy)} data-autofocus>
          {t('explorer.upload')}
        </Button>
      </Group>
    </Modal>
  );
}

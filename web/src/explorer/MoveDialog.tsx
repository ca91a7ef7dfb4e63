import { Button, Group, Modal, Text } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Node } from '../api/client';
import { FolderPicker } from './FolderPicker';
import { useMove } from './mutations';
import { isWithin } from './path';

interface MoveDialogProps {
  nodes: readonly Node[];
  from: string;
  onClose: () => void;
  onMoved: () => void;
}

export function MoveDialog({ nodes, from, onClose, onMoved }: MoveDialogProps) {
  const { t } = useTranslation();
  const [to, setTo] = useState(from);
  const move = useMove(from);
  const inside = nodes.some((node) => node.kind === 'folder' && isWithin(to, node.path));
  const [first] = nodes;
  const title =
    nodes.length === 1 && first
      ? t('move.titleNamed', { name: first.name })
      : t('move.titleCount', { count: nodes.length });
  const submit = () =>
    move.mutate(
      { nodes, to },
      {
        onSuccess: () => {
          onMoved();
          onClose();
        },
      },
    );
  return (
    <Modal opened onClose={onClose} title={title} size="md" closeButtonProps={{ 'aria-label': t('common.close') }}>
      <FolderPicker path={to} onPath={setTo} moving={nodes} />
      <Group justify="space-between" mt="lg" wrap="nowrap">
        <Text size="sm" c="dimmed" role="status">
          {to === from ? t('move.same') : inside ? t('move.inside') : ''}
        </Text>
        <Group wrap="nowrap">
          <Button variant="default" onClick={onClose}>
            {t('common.cancel')}
          </Button>
          <Button onClick={submit} loading={move.isPending} disabled={to === from || inside}>
            {t('move.submit')}
          </Button>
        </Group>
      </Group>
    </Modal>
  );
}

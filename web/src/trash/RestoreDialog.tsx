import { Button, Group, Modal, Text } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Node } from '../api/client';
import { FolderPicker } from '../explorer/FolderPicker';
import { useRestore } from './queries';

/** Asks where to, when the folder that a node was in is gone. */
export function RestoreDialog({ node, onClose }: { node: Node; onClose: () => void }) {
  const { t } = useTranslation();
  const [to, setTo] = useState('/');
  const restore = useRestore();
  return (
    <Modal
      opened
      onClose={onClose}
      title={t('trash.restoreNode', { name: node.name })}
      closeButtonProps={{ 'aria-label': t('common.close') }}
    >
      <Text mb="md">{t('trash.parentGone')}</Text>
      <FolderPicker path={to} onPath={setTo} moving={[]} />
      <Group justify="flex-end" mt="lg">
        <Button variant="default" onClick={onClose}>
          {t('common.cancel')}
        </Button>
        <Button onClick={() => restore.mutate({ node, to }, { onSuccess: onClose })} loading={restore.isPending}>
          {t('trash.restoreHere')}
        </Button>
      </Group>
    </Modal>
  );
}

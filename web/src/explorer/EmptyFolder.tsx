import { Button } from '@mantine/core';
import { IconCloudUpload, IconFolderPlus, IconUpload } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { Message } from '../app/Message';
import type { Dropped } from '../uploads/dropped';
import { UploadMenu } from './UploadMenu';

interface EmptyFolderProps {
  onNewFolder: () => void;
  onUpload: (dropped: Promise<Dropped>) => void;
  /** Takes the keyboard when the reader came by it. */
  focus: boolean | undefined;
}

export function EmptyFolder({ onNewFolder, onUpload, focus }: EmptyFolderProps) {
  const { t } = useTranslation();
  return (
    <Message
      icon={<IconCloudUpload size={44} stroke={1.6} />}
      title={t('explorer.emptyTitle')}
      text={t('explorer.emptyText')}
    >
      <UploadMenu onUpload={onUpload}>
        <Button
          leftSection={<IconUpload size={18} />}
          ref={(button) => {
            if (focus) button?.focus();
          }}
        >
          {t('explorer.upload')}
        </Button>
      </UploadMenu>
      <Button variant="default" leftSection={<IconFolderPlus size={18} />} onClick={onNewFolder}>
        {t('explorer.newFolder')}
      </Button>
    </Message>
  );
}

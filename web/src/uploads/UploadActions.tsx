import { ActionIcon } from '@mantine/core';
import { IconFileSearch, IconPlayerPause, IconPlayerPlay, IconRefresh, IconX, type Icon } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { isActive, isHeld, type UploadItem } from './item';
import { useUploads } from './UploadsProvider';

interface UploadActionsProps {
  item: UploadItem;
  name: string;
  onChoose: () => void;
}

/** What can be done about one upload as it is now. */
export function UploadActions({ item, name, onChoose }: UploadActionsProps) {
  const { t } = useTranslation();
  const { uploader } = useUploads();
  const { engine } = uploader;
  const { id, state, together, handle } = item;
  const stoppable = isActive(state) && !together;
  // A file that is gone, or may not be opened, must be chosen after all.
  const reopen = async () => {
    if (!(await uploader.reopen(item))) onChoose();
  };
  return (
    <>
      {stoppable && state !== 'finishing' && (
        <Action icon={IconPlayerPause} label={t('uploads.pauseOne', { name })} onClick={() => engine.pause(id)} />
      )}
      {state === 'paused' && (
        <Action icon={IconPlayerPlay} label={t('uploads.resumeOne', { name })} onClick={() => engine.resume(id)} main />
      )}
      {state === 'lost' && handle && (
        <Action icon={IconPlayerPlay} label={t('uploads.resumeOne', { name })} onClick={() => void reopen()} main />
      )}
      {state === 'lost' && !handle && (
        <Action icon={IconFileSearch} label={t('uploads.chooseOne', { name })} onClick={onChoose} main />
      )}
      {state === 'failed' && (
        <Action icon={IconRefresh} label={t('uploads.retryOne', { name })} onClick={() => engine.retry(id)} main />
      )}
      {(stoppable || isHeld(state)) && (
        <Action icon={IconX} label={t('uploads.cancelOne', { name })} onClick={() => engine.cancel(id)} />
      )}
    </>
  );
}

interface ActionProps {
  icon: Icon;
  label: string;
  onClick: () => void;
  /** What moves the upload on. */
  main?: boolean;
}

function Action({ icon: Glyph, label, onClick, main }: ActionProps) {
  return (
    <ActionIcon variant="subtle" {...(!main && { color: 'gray' })} onClick={onClick} aria-label={label} title={label}>
      <Glyph size={18} />
    </ActionIcon>
  );
}

import { Button, Group } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import type { UploadEngine } from './engine';
import type { UploadsSnapshot } from './snapshot';
import classes from './UploadPanel.module.css';

interface UploadFootProps {
  uploads: UploadsSnapshot;
  engine: UploadEngine;
  onChoose: () => void;
}

/** What can be done about all uploads at once; nothing when nothing can. */
export function UploadFoot({ uploads, engine, onChoose }: UploadFootProps) {
  const { t } = useTranslation();
  const { active, pausable, paused, lost, failed } = uploads;
  if (active + paused + lost + failed === 0) return null;
  return (
    <Group className={classes.foot} justify="flex-end" gap="xs">
      {failed > 0 && (
        <Button variant="light" size="compact-sm" onClick={() => engine.retry()}>
          {t('uploads.retryAll')}
        </Button>
      )}
      {lost > 0 && (
        <Button variant="light" size="compact-sm" onClick={onChoose}>
          {t('uploads.chooseAll')}
        </Button>
      )}
      {paused > 0 && (
        <Button variant="light" size="compact-sm" onClick={() => engine.resumeAll()}>
          {t('uploads.resumeAll')}
        </Button>
      )}
      {pausable > 0 && (
        <Button variant="subtle" color="gray" size="compact-sm" onClick={() => engine.pauseAll()}>
          {t('uploads.pauseAll')}
        </Button>
      )}
      {active + paused + lost > 0 && (
        <Button variant="subtle" color="gray" size="compact-sm" onClick={() => engine.cancelAll()}>
          {t('uploads.cancelAll')}
        </Button>
      )}
    </Group>
  );
}

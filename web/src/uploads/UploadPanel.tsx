import { ActionIcon, Group, Loader, Paper, Progress, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconChevronDown, IconChevronUp, IconX } from '@tabler/icons-react';
import { useRef, useSyncExternalStore, type ChangeEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { notice } from '../app/notices';
import { useFormat } from '../i18n/format';
import type { UploadsSnapshot } from './snapshot';
import { UploadFoot } from './UploadFoot';
import { UploadList } from './UploadList';
import classes from './UploadPanel.module.css';
import { useUploads } from './UploadsProvider';

/** All uploads of this page: in total, and each. It goes away when it is dismissed. */
export function UploadPanel() {
  const { t } = useTranslation();
  const { uploader, preparing } = useUploads();
  const { engine } = uploader;
  const uploads = useSyncExternalStore(engine.subscribe, engine.snapshot);
  const [opened, { toggle }] = useDisclosure(true);
  const input = useRef<HTMLInputElement>(null);
  const title = useTitle(uploads, preparing);
  const open = uploads.active + uploads.paused + uploads.lost;
  if (uploads.items.length === 0 && preparing === 0) return null;

  const choose = () => input.current?.click();
  const take = (event: ChangeEvent<HTMLInputElement>) => {
    const files = [...(event.currentTarget.files ?? [])];
    // So that choosing the same file again is a change.
    event.currentTarget.value = '';
    void uploader.choose(files).then((all) => {
      if (!all) notice(t('uploads.otherFile'), t('uploads.otherFileText'));
    });
  };
  return (
    <Paper className={classes.panel} component="section" aria-label={t('uploads.title')} shadow="md" radius="lg">
      <Group className={classes.head} wrap="nowrap" gap="xs">
        <Text fw={650} flex={1} truncate role="status">
          {title}
        </Text>
        {uploads.items.length > 0 && (
          <ActionIcon
            variant="subtle"
            color="gray"
            onClick={toggle}
            aria-expanded={opened}
            aria-label={t(opened ? 'uploads.collapse' : 'uploads.expand')}
          >
            {opened ? <IconChevronDown size={18} /> : <IconChevronUp size={18} />}
          </ActionIcon>
        )}
        {open === 0 && preparing === 0 && (
          <ActionIcon
            variant="subtle"
            color="gray"
            onClick={() => engine.clearFinished()}
            aria-label={t('uploads.dismiss')}
          >
            <IconX size={18} />
          </ActionIcon>
        )}
      </Group>
      {preparing > 0 && (
        <Group className={classes.total} gap="xs">
          <Loader size="xs" aria-hidden />
          <Text size="sm" c="dimmed">
            {t('uploads.preparing')}
          </Text>
        </Group>
      )}
      {open > 0 && <Total uploads={uploads} />}
      {opened && uploads.items.length > 0 && <UploadList items={uploads.items} onChoose={choose} />}
      <UploadFoot uploads={uploads} engine={engine} onChoose={choose} />
      <input ref={input} type="file" multiple hidden onChange={take} aria-label={t('uploads.chooseAll')} />
    </Paper>
  );
}

function Total({ uploads }: { uploads: UploadsSnapshot }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { sent, bytes, rate, left } = uploads;
  return (
    <div className={classes.total}>
      <Progress value={bytes > 0 ? (sent / bytes) * 100 : 0} size="sm" aria-label={t('uploads.totalProgress')} />
      <Group justify="space-between" mt={6}>
        <Text size="xs" c="dimmed">
          {t('uploads.of', { sent: format.size(sent), total: format.size(bytes) })}
        </Text>
        <Text size="xs" c="dimmed">
          {left !== undefined && t('uploads.rate', { rate: format.rate(rate), left: format.duration(left) })}
        </Text>
      </Group>
    </div>
  );
}

function useTitle(uploads: UploadsSnapshot, preparing: number): string {
  const { t } = useTranslation();
  const { halt, active, paused, lost, failed, done } = uploads;
  if (halt === 'signedOut') return t('uploads.paused');
  if (halt === 'offline' && active > 0) return t('uploads.offline');
  if (active > 0) return t('uploads.uploading', { count: active });
  if (preparing > 0) return t('uploads.title');
  if (lost > 0) return t('uploads.lost', { count: lost });
  if (paused > 0) return t('uploads.held', { count: paused });
  if (failed > 0) return t('uploads.doneWithFailures', { count: failed });
  if (done > 0) return t('uploads.done', { count: done });
  return t('uploads.nothingUploaded');
}

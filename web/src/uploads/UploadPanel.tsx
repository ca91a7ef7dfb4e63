import { ActionIcon, Button, Group, Loader, Paper, Progress, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconChevronDown, IconChevronUp, IconX } from '@tabler/icons-react';
import { useSyncExternalStore } from 'react';
import { useTranslation } from 'react-i18next';
import { useFormat } from '../i18n/format';
import type { UploadsSnapshot } from './snapshot';
import { UploadList } from './UploadList';
import classes from './UploadPanel.module.css';
import { useUploads } from './UploadsProvider';

/** All uploads of this page: in total, and each. It goes away when it is dismissed. */
export function UploadPanel() {
  const { t } = useTranslation();
  const { engine, preparing } = useUploads();
  const uploads = useSyncExternalStore(engine.subscribe, engine.snapshot);
  const [opened, { toggle }] = useDisclosure(true);
  const title = useTitle(uploads, preparing);
  if (uploads.items.length === 0 && preparing === 0) return null;

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
        {uploads.active === 0 && preparing === 0 && (
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
      {uploads.active > 0 && <Total uploads={uploads} />}
      {opened && uploads.items.length > 0 && <UploadList items={uploads.items} />}
      {(uploads.active > 0 || uploads.failed > 0) && (
        <Group className={classes.foot} justify="flex-end" gap="xs">
          {uploads.failed > 0 && (
            <Button variant="light" size="compact-sm" onClick={() => engine.retry()}>
              {t('uploads.retryAll')}
            </Button>
          )}
          {uploads.active > 0 && (
            <Button variant="subtle" color="gray" size="compact-sm" onClick={() => engine.cancelAll()}>
              {t('uploads.cancelAll')}
            </Button>
          )}
        </Group>
      )}
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
  if (uploads.paused) return t('uploads.paused');
  if (uploads.active > 0) return t('uploads.uploading', { count: uploads.active });
  if (preparing > 0) return t('uploads.title');
  if (uploads.failed > 0) return t('uploads.doneWithFailures', { count: uploads.failed });
  if (uploads.done > 0) return t('uploads.done', { count: uploads.done });
  return t('uploads.nothingUploaded');
}

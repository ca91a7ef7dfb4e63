import { ActionIcon, Progress, Text } from '@mantine/core';
import { IconCheck, IconRefresh, IconX } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { problemText } from '../app/notices';
import { NodeIcon } from '../explorer/NodeIcon';
import { baseName } from '../explorer/path';
import { useFormat } from '../i18n/format';
import { isActive, type UploadItem } from './item';
import classes from './UploadPanel.module.css';
import { useUploads } from './UploadsProvider';

/** One file on its way. */
export function UploadRow({ item }: { item: UploadItem }) {
  const { t } = useTranslation();
  const { engine } = useUploads();
  const name = baseName(item.path);
  const active = isActive(item.state);
  return (
    <>
      <NodeIcon kind="file" name={name} />
      <div className={classes.text}>
        <Text size="sm" fw={500} truncate title={item.path}>
          {name}
        </Text>
        {item.state === 'sending' || item.state === 'finishing' ? (
          <Progress
            mt={4}
            size="xs"
            value={item.file.size > 0 ? (item.sent / item.file.size) * 100 : 100}
            aria-label={t('uploads.progressOf', { name })}
          />
        ) : null}
        <Detail item={item} />
      </div>
      {item.state === 'failed' && (
        <ActionIcon variant="subtle" onClick={() => engine.retry(item.id)} aria-label={t('uploads.retryOne', { name })}>
          <IconRefresh size={18} />
        </ActionIcon>
      )}
      {active && (
        <ActionIcon
          variant="subtle"
          color="gray"
          onClick={() => engine.cancel(item.id)}
          aria-label={t('uploads.cancelOne', { name })}
        >
          <IconX size={18} />
        </ActionIcon>
      )}
      {item.state === 'done' && <IconCheck size={18} className={classes.check} aria-hidden />}
    </>
  );
}

function Detail({ item }: { item: UploadItem }) {
  const { t } = useTranslation();
  const format = useFormat();
  const failed = item.state === 'failed' && item.problem;
  const state = t(`uploads.state.${item.state}`);
  const text = failed
    ? problemText(failed)
    : item.state === 'sending'
      ? t('uploads.of', { sent: format.size(item.sent), total: format.size(item.file.size) })
      : `${state} · ${format.size(item.file.size)}`;
  return (
    <Text size="xs" c={failed ? 'red' : 'dimmed'} truncate title={failed ? `${text} ${failed.requestId}` : text}>
      {text}
    </Text>
  );
}

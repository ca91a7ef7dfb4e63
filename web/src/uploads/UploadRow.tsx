import { Progress, Text } from '@mantine/core';
import { IconBolt, IconCheck } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { problemText } from '../app/notices';
import { NodeIcon } from '../explorer/NodeIcon';
import { baseName } from '../explorer/path';
import { useFormat } from '../i18n/format';
import type { UploadItem } from './item';
import { UploadActions } from './UploadActions';
import classes from './UploadPanel.module.css';

interface UploadRowProps {
  item: UploadItem;
  /** Lets the reader say where the files are that an earlier life of the page was sending. */
  onChoose: () => void;
}

/** One file on its way. */
export function UploadRow({ item, onChoose }: UploadRowProps) {
  const name = baseName(item.path);
  return (
    <>
      <NodeIcon kind="file" name={name} />
      <div className={classes.text}>
        <Text size="sm" fw={500} truncate title={item.path}>
          {name}
        </Text>
        <Bar item={item} name={name} />
        <Detail item={item} />
      </div>
      <UploadActions item={item} name={name} onChoose={onChoose} />
      {item.state === 'done' && <IconCheck size={18} className={classes.check} aria-hidden />}
      {item.state === 'instant' && <IconBolt size={18} className={classes.check} aria-hidden />}
    </>
  );
}

function Bar({ item, name }: { item: UploadItem; name: string }) {
  const { t } = useTranslation();
  const { state, size, sent, hashed } = item;
  const preparing = state === 'preparing';
  const begun = state === 'sending' || state === 'finishing' || state === 'retrying' || state === 'paused';
  if (!preparing && !(begun && sent > 0) && state !== 'sending') return null;
  return (
    <Progress
      mt={4}
      size="xs"
      {...(state !== 'sending' && state !== 'finishing' && { color: 'var(--mantine-color-dimmed)' })}
      value={size > 0 ? ((preparing ? hashed : sent) / size) * 100 : 100}
      aria-label={t(preparing ? 'uploads.preparationOf' : 'uploads.progressOf', { name })}
    />
  );
}

function Detail({ item }: { item: UploadItem }) {
  const { problem } = item;
  const text = useDetail(item);
  const failed = item.state === 'failed' && problem;
  return (
    <Text size="xs" c={failed ? 'red' : 'dimmed'} truncate title={failed ? `${text} ${failed.requestId}` : text}>
      {text}
    </Text>
  );
}

function useDetail({ state, size, sent, hashed, handle, problem }: UploadItem): string {
  const { t } = useTranslation();
  const format = useFormat();
  const of = (bytes: number) => t('uploads.of', { sent: format.size(bytes), total: format.size(size) });
  switch (state) {
    case 'failed':
      return problem ? problemText(problem) : t('uploads.state.failed');
    case 'sending':
      return of(sent);
    case 'preparing':
      return `${t('uploads.state.preparing')} · ${of(hashed)}`;
    case 'paused':
    case 'retrying':
      return `${t(`uploads.state.${state}`)} · ${of(sent)}`;
    case 'lost':
      return t(handle ? 'uploads.reopenHint' : 'uploads.chooseHint');
    case 'waiting':
    case 'finishing':
    case 'done':
    case 'instant':
    case 'skipped':
    case 'cancelled':
      return `${t(`uploads.state.${state}`)} · ${format.size(size)}`;
  }
}

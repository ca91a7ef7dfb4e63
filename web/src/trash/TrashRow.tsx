import { ActionIcon, Tooltip } from '@mantine/core';
import { IconRestore, IconTrashX } from '@tabler/icons-react';
import type { CSSProperties } from 'react';
import { useTranslation } from 'react-i18next';
import type { Node } from '../api/client';
import { NodeIcon } from '../explorer/NodeIcon';
import { parentPath } from '../explorer/path';
import { useFormat } from '../i18n/format';
import classes from './TrashTable.module.css';

interface TrashRowProps {
  node: Node;
  index: number;
  place: CSSProperties;
  onRestore: (node: Node) => void;
  onPurge: (node: Node) => void;
}

export function TrashRow({ node, index, place, onRestore, onPurge }: TrashRowProps) {
  const { t } = useTranslation();
  const format = useFormat();
  const above = parentPath(node.path);
  const from = above === '/' ? t('explorer.root') : above;
  const deleted = format.moment(node.trashedAt ?? '');
  return (
    <div role="row" aria-rowindex={index + 2} className={`${classes.columns ?? ''} ${classes.row ?? ''}`} style={place}>
      <div role="cell" className={classes.name}>
        <NodeIcon kind={node.kind} name={node.name} />
        <div className={classes.label}>
          <span className={classes.text} title={node.name}>
            {node.name}
          </span>
          <span className={classes.meta}>
            {from} · {deleted}
          </span>
        </div>
      </div>
      <div role="cell" className={classes.from} title={from}>
        {from}
      </div>
      <div role="cell" className={classes.detail}>
        {node.kind === 'folder' ? '—' : format.size(node.size)}
      </div>
      <div role="cell" className={classes.detail} title={format.momentFully(node.trashedAt ?? '')}>
        {deleted}
      </div>
      <div role="cell" className={classes.actions}>
        <Tooltip label={t('trash.restore')}>
          <ActionIcon
            variant="subtle"
            size={36}
            onClick={() => onRestore(node)}
            aria-label={t('trash.restoreNode', { name: node.name })}
          >
            <IconRestore size={20} stroke={1.7} />
          </ActionIcon>
        </Tooltip>
        <Tooltip label={t('trash.deleteForever')}>
          <ActionIcon
            variant="subtle"
            color="red"
            size={36}
            onClick={() => onPurge(node)}
            aria-label={t('trash.deleteForeverNode', { name: node.name })}
          >
            <IconTrashX size={20} stroke={1.7} />
          </ActionIcon>
        </Tooltip>
      </div>
    </div>
  );
}

import { ActionIcon, Anchor, Checkbox, Skeleton } from '@mantine/core';
import { IconDotsVertical } from '@tabler/icons-react';
import { memo, type MouseEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import type { Node } from '../api/client';
import { useFormat } from '../i18n/format';
import classes from './FolderTable.module.css';
import { NodeIcon } from './NodeIcon';
import { folderAddress } from './path';

export type RowEvent =
  | { kind: 'only' | 'toggle' | 'range' | 'open'; node: Node }
  | { kind: 'menu'; node: Node; x: number; y: number; opener: HTMLElement };

interface NodeRowProps {
  node: Node;
  index: number;
  /** Where the row begins in the list, and its height, in px. */
  start: number;
  height: number;
  /** Has, or would get, the keyboard. */
  active: boolean;
  selected: boolean;
  /** Something is selected: then a tap selects too. */
  selecting: boolean;
  onEvent: (event: RowEvent) => void;
}

/** One file or folder. On a phone size and time stand below the name. */
export const NodeRow = memo(function NodeRow({
  node,
  index,
  start,
  height,
  active,
  selected,
  selecting,
  onEvent,
}: NodeRowProps) {
  const { t } = useTranslation();
  const format = useFormat();
  const folder = node.kind === 'folder';
  const tabIndex = active ? 0 : -1;
  const size = folder ? '—' : format.size(node.size);
  const modified = format.moment(node.modifiedAt);

  const onClick = (event: MouseEvent<HTMLElement>) => {
    if (isControl(event.target, event.currentTarget)) return;
    if (event.shiftKey) onEvent({ kind: 'range', node });
    else if (event.ctrlKey || event.metaKey || (selecting && isTouch(event))) onEvent({ kind: 'toggle', node });
    else if (isTouch(event)) {
      if (folder) onEvent({ kind: 'open', node });
      else onEvent({ kind: 'menu', node, x: event.clientX, y: event.clientY, opener: event.currentTarget });
    } else onEvent({ kind: 'only', node });
  };
  const onMenu = (event: MouseEvent<HTMLElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    onEvent({ kind: 'menu', node, x: box.right, y: box.bottom, opener: event.currentTarget });
  };
  return (
    // The grid takes the keys for all its rows.
    // eslint-disable-next-line jsx-a11y/click-events-have-key-events
    <div
      role="row"
      tabIndex={tabIndex}
      aria-rowindex={index + 2}
      aria-selected={selected}
      className={`${classes.columns ?? ''} ${classes.row ?? ''}`}
      style={{ transform: `translateY(${start}px)`, height }}
      onClick={onClick}
      onDoubleClick={(event) => {
        if (!isControl(event.target, event.currentTarget)) onEvent({ kind: 'open', node });
      }}
      onContextMenu={(event) => {
        event.preventDefault();
        onEvent({ kind: 'menu', node, x: event.clientX, y: event.clientY, opener: event.currentTarget });
      }}
    >
      <div role="gridcell" className={classes.check}>
        <Checkbox
          size="sm"
          tabIndex={tabIndex}
          aria-label={t('explorer.select', { name: node.name })}
          checked={selected}
          onChange={() => undefined}
          onClick={(event) => {
            onEvent({ kind: event.shiftKey ? 'range' : 'toggle', node });
          }}
        />
      </div>
      <div role="gridcell" className={classes.name}>
        <NodeIcon kind={node.kind} name={node.name} />
        <div className={classes.label}>
          {folder ? (
            <Anchor
              component={Link}
              to={folderAddress(node.path)}
              tabIndex={tabIndex}
              className={classes.text ?? ''}
              title={node.name}
            >
              {node.name}
            </Anchor>
          ) : (
            <span className={classes.text} title={node.name}>
              {node.name}
            </span>
          )}
          <span className={classes.meta}>{folder ? modified : `${size} · ${modified}`}</span>
        </div>
      </div>
      <div role="gridcell" className={classes.size}>
        {size}
      </div>
      <div role="gridcell" className={classes.modified} title={format.momentFully(node.modifiedAt)}>
        {modified}
      </div>
      <div role="gridcell" className={classes.actions}>
        <ActionIcon
          variant="subtle"
          color="gray"
          size={36}
          tabIndex={tabIndex}
          aria-label={t('explorer.actionsFor', { name: node.name })}
          aria-haspopup="menu"
          onClick={onMenu}
        >
          <IconDotsVertical size={18} />
        </ActionIcon>
      </div>
    </div>
  );
});

/** A row that was not read yet. */
export function SkeletonRow({ index, start, height }: Pick<NodeRowProps, 'index' | 'start' | 'height'>) {
  // Names are of many lengths.
  const width = `${30 + ((index * 37) % 40)}%`;
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      className={classes.columns}
      style={{ transform: `translateY(${start}px)`, height }}
      data-skeleton
    >
      <div role="gridcell" className={classes.check} />
      <div role="gridcell" className={classes.name}>
        <Skeleton width={36} height={36} radius={10} style={{ flex: 'none' }} />
        <Skeleton height={12} width={width} radius="xl" />
      </div>
      <div role="gridcell" className={classes.size}>
        <Skeleton height={10} width={56} radius="xl" />
      </div>
      <div role="gridcell" className={classes.modified}>
        <Skeleton height={10} width={90} radius="xl" />
      </div>
      <div role="gridcell" className={classes.actions} />
    </div>
  );
}

/** Whether an event is for a link or button in the row and not for the row. */
function isControl(target: EventTarget, row: Element): boolean {
  const control = target instanceof Element ? target.closest('a, button, input, label') : null;
  return control !== null && row.contains(control);
}

function isTouch(event: MouseEvent): boolean {
  return event.nativeEvent instanceof PointerEvent && event.nativeEvent.pointerType === 'touch';
}

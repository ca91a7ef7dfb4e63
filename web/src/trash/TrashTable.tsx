import { useMediaQuery } from '@mantine/hooks';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import type { Node } from '../api/client';
import type { useTrash } from './queries';
import { TrashRow } from './TrashRow';
import classes from './TrashTable.module.css';

interface TrashTableProps {
  trash: ReturnType<typeof useTrash>;
  onRestore: (node: Node) => void;
  onPurge: (node: Node) => void;
}

/** What is in the trash, the latest first; only the rows in sight are in the document. */
export function TrashTable({ trash, onRestore, onPurge }: TrashTableProps) {
  const { t } = useTranslation();
  const { nodes, total, hasNextPage, isFetchingNextPage, fetchNextPage } = trash;
  const scroller = useRef<HTMLDivElement>(null);
  const phone = useMediaQuery('(max-width: 48em)', undefined, { getInitialValueInEffect: false });
  const virtual = useVirtualizer({
    count: nodes.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => (phone ? 68 : 56),
    overscan: 8,
  });
  const rows = virtual.getVirtualItems();
  const lastInSight = rows.at(-1)?.index ?? 0;

  useEffect(() => {
    virtual.measure();
  }, [phone, virtual]);
  useEffect(() => {
    if (lastInSight >= nodes.length - 20 && hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [lastInSight, nodes.length, hasNextPage, isFetchingNextPage, fetchNextPage]);

  const columns = [t('explorer.name'), t('trash.from'), t('explorer.size'), t('trash.deleted'), t('explorer.actions')];
  return (
    <div role="table" aria-label={t('trash.list')} aria-rowcount={total + 1} className={classes.table}>
      <div role="rowgroup" className={classes.head}>
        <div role="row" aria-rowindex={1} className={classes.columns}>
          {columns.map((column) => (
            <div key={column} role="columnheader">
              {column}
            </div>
          ))}
        </div>
      </div>
      <div role="rowgroup" ref={scroller} className={classes.scroller}>
        <div role="presentation" className={classes.canvas} style={{ height: virtual.getTotalSize() }}>
          {rows.map((row) => {
            const node = nodes[row.index];
            return (
              node && (
                <TrashRow
                  key={node.id}
                  node={node}
                  index={row.index}
                  place={{ transform: `translateY(${row.start}px)`, height: row.size }}
                  onRestore={onRestore}
                  onPurge={onPurge}
                />
              )
            );
          })}
        </div>
      </div>
    </div>
  );
}

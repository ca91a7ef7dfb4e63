import { useMediaQuery } from '@mantine/hooks';
import { useVirtualizer, type Range, defaultRangeExtractor } from '@tanstack/react-virtual';
import { useCallback, useEffect, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import { useTranslation } from 'react-i18next';
import type { Node } from '../api/client';
import classes from './FolderTable.module.css';
import { NodeMenu, type MenuPlace } from './NodeMenu';
import { NodeRow, SkeletonRow, type RowEvent } from './NodeRow';
import type { NodeAction } from './nodeActions';
import type { Sort, useFolder } from './queries';
import * as select from './selection';
import type { Selection } from './selection';
import { TableHead } from './TableHead';
import { keyCommand } from './tableKeys';

interface FolderTableProps {
  name: string;
  folder: ReturnType<typeof useFolder>;
  sort: Sort;
  onSort: (sort: Sort) => void;
  selection: Selection;
  onSelection: (change: (now: Selection) => Selection) => void;
  onSelectAll: () => void;
  onAction: (action: NodeAction, nodes: readonly Node[], keyboard?: boolean) => void;
  /** Who takes the keyboard once the folder is read: the first row, or the one with this name. */
  focus: string | undefined;
}

const skeletons = 8;

/**
 * A folder as a grid (ARIA's pattern) of which only the rows in sight are in the document. It is as high as the
 * whole folder from the start; rows that were not read yet are drawn as skeletons, and reading catches up.
 */
export function FolderTable(props: FolderTableProps) {
  const { name, folder, sort, onSort, selection, onSelection, onSelectAll, onAction, focus } = props;
  const { t } = useTranslation();
  const { nodes, total, isPending, hasNextPage, isFetchingNextPage, fetchNextPage, isFetchNextPageError } = folder;
  const scroller = useRef<HTMLDivElement>(null);
  const phone = useMediaQuery('(max-width: 48em)', undefined, { getInitialValueInEffect: false });
  const [menu, setMenu] = useState<MenuPlace>();
  // Set when the keyboard moved, so that the row takes the focus once it is drawn.
  const moved = useRef(focus !== undefined);
  const order = useMemo(() => nodes.map((node) => node.id), [nodes]);

  const came = focus === undefined ? undefined : (nodes.find((node) => node.name === focus) ?? nodes[0]);
  const active = selection.active ?? came?.id ?? order[0];
  const activeIndex = active === undefined ? 0 : Math.max(0, order.indexOf(active));

  const rangeExtractor = useCallback(
    // The row with the keyboard stays in the document, or the focus would be lost when it scrolls away.
    (range: Range) => [...new Set([activeIndex, ...defaultRangeExtractor(range)])].sort((a, b) => a - b),
    [activeIndex],
  );
  const virtual = useVirtualizer({
    count: isPending ? skeletons : total,
    getScrollElement: () => scroller.current,
    estimateSize: () => (phone ? 64 : 52),
    overscan: 8,
    // Room for the upload panel below the last row.
    paddingEnd: 96,
    rangeExtractor,
  });
  const rows = virtual.getVirtualItems();
  const lastInSight = rows.at(-1)?.index ?? 0;

  useEffect(() => {
    virtual.measure();
  }, [phone, virtual]);

  useEffect(() => {
    if (lastInSight >= nodes.length - 1 && hasNextPage && !isFetchingNextPage && !isFetchNextPageError)
      void fetchNextPage();
  }, [lastInSight, nodes.length, hasNextPage, isFetchingNextPage, isFetchNextPageError, fetchNextPage]);

  useEffect(() => {
    if (!moved.current || isPending) return;
    const row = scroller.current?.querySelector<HTMLElement>('[role="row"][tabindex="0"]');
    if (!row) return;
    moved.current = false;
    virtual.scrollToIndex(activeIndex);
    row.focus({ preventScroll: true });
  }, [activeIndex, isPending, rows, virtual]);

  const chosenWith = useCallback(
    (node: Node): readonly Node[] =>
      selection.ids.has(node.id) ? nodes.filter((other) => selection.ids.has(other.id)) : [node],
    [nodes, selection.ids],
  );

  // The same function while the reader scrolls, so that rows in sight are not drawn again.
  const onRow = useCallback(
    (event: RowEvent) => {
      const { node } = event;
      switch (event.kind) {
        case 'only':
          onSelection(() => select.selectOnly(node.id));
          return;
        case 'toggle':
          onSelection((now) => select.toggle(now, node.id));
          return;
        case 'range':
          onSelection((now) => select.selectTo(now, order, node.id));
          return;
        case 'open':
          onAction(node.kind === 'folder' ? 'open' : 'download', [node]);
          return;
        case 'menu':
          onSelection((now) => select.activate(now, node.id));
          setMenu({ nodes: chosenWith(node), x: event.x, y: event.y, label: node.name, opener: event.opener });
          return;
      }
    },
    [chosenWith, onAction, onSelection, order],
  );

  const onKeyDown = (event: KeyboardEvent) => {
    const node = nodes[activeIndex];
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / (phone ? 64 : 52)) - 1);
    const command = keyCommand(event, { index: activeIndex, last: nodes.length - 1, page });
    if (!command || (event.target !== event.currentTarget && !isRow(event.target))) return;
    event.preventDefault();
    switch (command.kind) {
      case 'move': {
        const next = order[command.to];
        if (next === undefined) return;
        moved.current = true;
        onSelection((now) =>
          command.extend ? select.selectTo({ ...now, active }, order, next) : select.activate(now, next),
        );
        return;
      }
      case 'toggle':
        if (node) onSelection((now) => select.toggle(now, node.id));
        return;
      case 'all':
        onSelectAll();
        return;
      case 'clear':
        onSelection(select.clear);
        return;
      case 'open':
        if (node) onAction(node.kind === 'folder' ? 'open' : 'download', [node], true);
        return;
      case 'rename':
        if (node) onAction('rename', [node]);
        return;
      case 'trash': {
        if (!node) return;
        const gone = chosenWith(node);
        const ids = new Set(gone.map((each) => each.id));
        const next =
          nodes.slice(activeIndex).find((each) => !ids.has(each.id)) ?? nodes.findLast((each) => !ids.has(each.id));
        moved.current = true;
        onAction('trash', gone);
        if (next) onSelection((now) => select.activate(now, next.id));
        return;
      }
    }
  };

  return (
    <>
      <div
        role="grid"
        tabIndex={-1}
        aria-label={t('explorer.list', { name })}
        aria-rowcount={total + 1}
        aria-multiselectable
        aria-busy={isPending}
        className={classes.grid}
        onKeyDown={onKeyDown}
      >
        <TableHead
          sort={sort}
          onSort={onSort}
          checked={nodes.length > 0 && selection.ids.size >= total}
          some={selection.ids.size > 0}
          onCheck={(on) => {
            if (on) onSelectAll();
            else onSelection(select.clear);
          }}
        />
        <div role="rowgroup" ref={scroller} className={classes.scroller}>
          <div role="presentation" className={classes.canvas} style={{ height: virtual.getTotalSize() }}>
            {rows.map((row) => {
              const node = nodes[row.index];
              return node ? (
                <NodeRow
                  key={node.id}
                  node={node}
                  index={row.index}
                  start={row.start}
                  height={row.size}
                  active={row.index === activeIndex}
                  selected={selection.ids.has(node.id)}
                  selecting={selection.ids.size > 0}
                  onEvent={onRow}
                />
              ) : (
                <SkeletonRow key={`skeleton ${row.index}`} index={row.index} start={row.start} height={row.size} />
              );
            })}
          </div>
        </div>
      </div>
      {menu && <NodeMenu place={menu} onClose={() => setMenu(undefined)} onAction={onAction} />}
    </>
  );
}

function isRow(target: EventTarget): boolean {
  return target instanceof HTMLElement && target.getAttribute('role') === 'row';
}

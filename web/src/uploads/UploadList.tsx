import { useVirtualizer } from '@tanstack/react-virtual';
import { useRef } from 'react';
import { useTranslation } from 'react-i18next';
import type { UploadItem } from './item';
import classes from './UploadPanel.module.css';
import { UploadRow } from './UploadRow';

const rowHeight = 60;

/** Each upload; only those in sight are in the document, as a folder can hold many thousands. */
export function UploadList({ items, onChoose }: { items: readonly UploadItem[]; onChoose: () => void }) {
  const { t } = useTranslation();
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 4,
  });
  return (
    // What scrolls must be reachable by the keyboard, also when no row has a button.
    <div
      ref={scroller}
      className={classes.list}
      style={{ height: items.length * rowHeight + 1 }}
      // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
      tabIndex={0}
      role="region"
      aria-label={t('uploads.title')}
    >
      <div role="list" className={classes.canvas} style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((row) => {
          const item = items[row.index];
          if (!item) return null;
          return (
            <div
              key={item.id}
              role="listitem"
              aria-setsize={items.length}
              aria-posinset={row.index + 1}
              className={classes.item}
              style={{ transform: `translateY(${row.start}px)`, height: row.size }}
            >
              <UploadRow item={item} onChoose={onChoose} />
            </div>
          );
        })}
      </div>
    </div>
  );
}

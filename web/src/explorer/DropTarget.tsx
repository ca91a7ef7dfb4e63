import { Text } from '@mantine/core';
import { IconCloudUpload } from '@tabler/icons-react';
import { useState, type DragEvent, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { fromDrop, type Dropped } from '../uploads/dropped';
import classes from './DropTarget.module.css';

interface DropTargetProps {
  /** The folder's name, as the overlay says it. */
  name: string;
  onDrop: (dropped: Promise<Dropped>) => void;
  children: ReactNode;
}

/** Takes files and folders that are dropped anywhere on the folder's page. */
export function DropTarget({ name, onDrop, children }: DropTargetProps) {
  const { t } = useTranslation();
  // Every element below fires its own enter and leave; the drag is over us while they do not balance.
  const [depth, setDepth] = useState(0);
  const onFiles = (run: (event: DragEvent) => void) => (event: DragEvent) => {
    if (!event.dataTransfer.types.includes('Files')) return;
    event.preventDefault();
    run(event);
  };
  return (
    // Dropping is a second way to what the upload button does for every reader.
    // eslint-disable-next-line jsx-a11y/no-static-element-interactions
    <div
      className={classes.target}
      onDragEnter={onFiles(() => setDepth((n) => n + 1))}
      onDragLeave={onFiles(() => setDepth((n) => Math.max(0, n - 1)))}
      onDragOver={onFiles((event) => {
        event.dataTransfer.dropEffect = 'copy';
      })}
      onDrop={onFiles((event) => {
        setDepth(0);
        onDrop(fromDrop(event.dataTransfer));
      })}
      data-testid="drop-target"
    >
      {children}
      {depth > 0 && (
        <div className={classes.overlay} aria-hidden>
          <IconCloudUpload size={56} stroke={1.5} />
          <Text fw={650} size="lg">
            {t('explorer.dropHere', { name })}
          </Text>
          <Text size="sm">{t('explorer.dropHint')}</Text>
        </div>
      )}
    </div>
  );
}

import { IconFolderFilled } from '@tabler/icons-react';
import { fileKind } from './fileKinds';
import classes from './NodeIcon.module.css';

/** A folder's or a file's picture. Decoration: the name beside it says the same. */
export function NodeIcon({ kind, name }: { kind: 'folder' | 'file'; name: string }) {
  if (kind === 'folder') {
    return (
      <span className={classes.tile} aria-hidden>
        <IconFolderFilled size={22} />
      </span>
    );
  }
  const { icon: Icon, color } = fileKind(name);
  return (
    <span
      className={classes.tile}
      style={{ '--tile-light': `var(--mantine-color-${color}-8)`, '--tile-dark': `var(--mantine-color-${color}-4)` }}
      aria-hidden
    >
      <Icon size={20} stroke={1.7} />
    </span>
  );
}

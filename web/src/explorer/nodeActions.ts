import {
  IconDownload,
  IconFileZip,
  IconFolderOpen,
  IconFolderSymlink,
  IconHistory,
  IconPencil,
  IconTrash,
  type Icon,
} from '@tabler/icons-react';
import type { Node } from '../api/client';

export type NodeAction = 'open' | 'download' | 'archive' | 'rename' | 'move' | 'versions' | 'trash';

/** How each action looks and is called; label is a key of the locale files. */
export const nodeActions = {
  open: { icon: IconFolderOpen, label: 'explorer.open' },
  download: { icon: IconDownload, label: 'explorer.download' },
  archive: { icon: IconFileZip, label: 'explorer.downloadZip' },
  rename: { icon: IconPencil, label: 'explorer.rename' },
  move: { icon: IconFolderSymlink, label: 'explorer.move' },
  versions: { icon: IconHistory, label: 'explorer.versions' },
  trash: { icon: IconTrash, label: 'explorer.moveToTrash' },
} as const satisfies Record<NodeAction, { icon: Icon; label: string }>;

/** What can be done with these nodes together. */
export function actionsFor(nodes: readonly Node[]): NodeAction[] {
  const [first] = nodes;
  if (!first) return [];
  const files = nodes.every((node) => node.kind === 'file');
  if (nodes.length > 1) return ['archive', 'move', 'trash'];
  return files ? ['download', 'rename', 'move', 'versions', 'trash'] : ['open', 'archive', 'rename', 'move', 'trash'];
}

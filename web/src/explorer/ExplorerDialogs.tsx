import type { Node } from '../api/client';
import { MoveDialog } from './MoveDialog';
import { NewFolderDialog } from './NewFolderDialog';
import { RenameDialog } from './RenameDialog';
import { VersionsDrawer } from './VersionsDrawer';

export type Dialog =
  { kind: 'newFolder' } | { kind: 'rename' | 'versions'; node: Node } | { kind: 'move'; nodes: readonly Node[] };

interface ExplorerDialogsProps {
  dialog: Dialog | undefined;
  folder: string;
  onClose: () => void;
  onMoved: () => void;
}

/** The dialog that is open, if any. */
export function ExplorerDialogs({ dialog, folder, onClose, onMoved }: ExplorerDialogsProps) {
  switch (dialog?.kind) {
    case 'newFolder':
      return <NewFolderDialog folder={folder} onClose={onClose} />;
    case 'rename':
      return <RenameDialog node={dialog.node} onClose={onClose} />;
    case 'versions':
      return <VersionsDrawer node={dialog.node} onClose={onClose} />;
    case 'move':
      return <MoveDialog nodes={dialog.nodes} from={folder} onClose={onClose} onMoved={onMoved} />;
    case undefined:
      return null;
  }
}

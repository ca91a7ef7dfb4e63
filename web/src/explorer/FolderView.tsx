import { Button } from '@mantine/core';
import { useHotkeys, useLocalStorage } from '@mantine/hooks';
import { IconAlertTriangle, IconFolderOff } from '@tabler/icons-react';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useLocation, useNavigate } from 'react-router';
import type { Node } from '../api/client';
import { archiveLinks, contentLink, download } from '../api/links';
import { toProblem } from '../api/problem';
import { Message } from '../app/Message';
import { problemLine } from '../app/notices';
import { useUploads } from '../uploads/UploadsProvider';
import { Breadcrumbs } from './Breadcrumbs';
import { DropTarget } from './DropTarget';
import { EmptyFolder } from './EmptyFolder';
import { ExplorerDialogs, type Dialog } from './ExplorerDialogs';
import classes from './FolderView.module.css';
import { FolderTable } from './FolderTable';
import { FolderToolbar } from './FolderToolbar';
import { useMoveToTrash } from './mutations';
import type { NodeAction } from './nodeActions';
import { baseName, folderAddress, parentPath } from './path';
import { useFolder, type Sort } from './queries';
import { clear, noSelection, selectAll } from './selection';
import { SelectionBar } from './SelectionBar';

interface FolderViewProps {
  path: string;
  onHelp: () => void;
}

/** How the keyboard came here, so that it can go on: into a folder, or up from one. */
interface Arrival {
  keyboard?: boolean;
  from?: string;
}

/** One folder: where it is, what it holds, and what can be done with it. */
export function FolderView({ path, onHelp }: FolderViewProps) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const arrival = useLocation().state as Arrival | null;
  const [sort, setSort] = useLocalStorage<Sort>({
    key: 'gopan-sort',
    defaultValue: { key: 'name', order: 'asc' },
    getInitialValueInEffect: false,
  });
  const folder = useFolder(path, sort);
  const [selection, setSelection] = useState(noSelection);
  const [selecting, setSelecting] = useState(false);
  const [dialog, setDialog] = useState<Dialog>();
  const { upload } = useUploads();
  const toTrash = useMoveToTrash(path);
  const selected = useMemo(
    () => folder.nodes.filter((node) => selection.ids.has(node.id)),
    [folder.nodes, selection.ids],
  );

  const open = (node: Node, keyboard: boolean) => {
    if (node.kind === 'folder') void navigate(folderAddress(node.path), { state: { keyboard } satisfies Arrival });
    else download([contentLink(node.id)]);
  };
  const goUp = () => {
    if (path === '/') return;
    void navigate(folderAddress(parentPath(path)), {
      state: { keyboard: true, from: baseName(path) } satisfies Arrival,
    });
  };
  // Wherever the keyboard is, also while the folder is still read; but not in a dialog or menu above it.
  const upByKey = (event: KeyboardEvent) => {
    const inside = event.target instanceof Element && event.target.closest('[aria-modal="true"], [role="menu"]');
    if (!inside) goUp();
  };
  useHotkeys([
    ['Backspace', upByKey],
    ['alt+ArrowUp', upByKey],
  ]);
  const trash = (nodes: readonly Node[]) => {
    setSelection(clear);
    toTrash.mutate(nodes);
  };
  const act = (action: NodeAction, nodes: readonly Node[], keyboard = false) => {
    const [first] = nodes;
    if (!first) return;
    switch (action) {
      case 'open':
        open(first, keyboard);
        return;
      case 'download':
        download([contentLink(first.id)]);
        return;
      case 'archive':
        download(archiveLinks(nodes));
        return;
      case 'rename':
      case 'versions':
        setDialog({ kind: action, node: first });
        return;
      case 'move':
        setDialog({ kind: 'move', nodes });
        return;
      case 'trash':
        trash(nodes);
        return;
    }
  };
  // All means all: what was not read yet is read first.
  const chooseAll = async () => {
    setSelecting(true);
    let { nodes } = folder;
    for (let more = folder.hasNextPage; more;) {
      const result = await folder.fetchNextPage();
      nodes = result.data?.pages.flatMap((page) => page.items) ?? nodes;
      more = result.hasNextPage && !result.isError;
    }
    setSelecting(false);
    setSelection((now) =>
      selectAll(
        now,
        nodes.map((node) => node.id),
      ),
    );
  };

  const name = baseName(path) || t('explorer.root');
  const newFolder = () => setDialog({ kind: 'newFolder' });
  return (
    <DropTarget name={name} onDrop={(dropped) => upload(path, dropped)}>
      <div className={classes.head}>
        <Breadcrumbs path={path} />
        {selected.length > 0 || selecting ? (
          <SelectionBar
            selected={selected}
            progress={selecting ? { done: folder.nodes.length, total: folder.total } : undefined}
            onAction={(action) => act(action, selected)}
            onClear={() => setSelection(clear)}
          />
        ) : (
          <FolderToolbar
            total={folder.data ? folder.total : undefined}
            sort={sort}
            onSort={setSort}
            onNewFolder={newFolder}
            onUpload={(dropped) => upload(path, dropped)}
            onSelectAll={() => void chooseAll()}
            onHelp={onHelp}
          />
        )}
      </div>
      {folder.isError && !folder.data ? (
        <FolderProblem error={folder.error} onRetry={() => void folder.refetch()} />
      ) : folder.data && folder.nodes.length === 0 && !folder.hasNextPage ? (
        <EmptyFolder onNewFolder={newFolder} onUpload={(dropped) => upload(path, dropped)} focus={arrival?.keyboard} />
      ) : (
        <FolderTable
          name={name}
          folder={folder}
          sort={sort}
          onSort={setSort}
          selection={selection}
          onSelection={setSelection}
          onSelectAll={() => void chooseAll()}
          onAction={act}
          focus={arrival?.keyboard ? (arrival.from ?? 'first') : undefined}
        />
      )}
      <ExplorerDialogs
        dialog={dialog}
        folder={path}
        onClose={() => setDialog(undefined)}
        onMoved={() => setSelection(clear)}
      />
    </DropTarget>
  );
}

function FolderProblem({ error, onRetry }: { error: Error; onRetry: () => void }) {
  const { t } = useTranslation();
  const problem = toProblem(error);
  if (problem.status === 404) {
    return (
      <Message icon={<IconFolderOff size={44} />} title={t('explorer.missingTitle')} text={t('explorer.missingText')}>
        <Button component={Link} to="/files">
          {t('app.goHome')}
        </Button>
      </Message>
    );
  }
  return (
    <Message icon={<IconAlertTriangle size={44} />} title={t('explorer.errorTitle')} text={problemLine(problem)}>
      <Button onClick={onRetry}>{t('common.retry')}</Button>
    </Message>
  );
}

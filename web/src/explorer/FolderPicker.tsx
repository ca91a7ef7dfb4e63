import { Button, Center, Loader, Text, UnstyledButton } from '@mantine/core';
import { IconChevronRight } from '@tabler/icons-react';
import { Fragment } from 'react';
import { useTranslation } from 'react-i18next';
import type { Node } from '../api/client';
import { toProblem } from '../api/problem';
import { problemText } from '../app/notices';
import classes from './FolderPicker.module.css';
import { NodeIcon } from './NodeIcon';
import { ancestors, baseName } from './path';
import { useFolder } from './queries';

interface FolderPickerProps {
  path: string;
  onPath: (path: string) => void;
  /** What is to be moved: it cannot be gone into. */
  moving: readonly Node[];
}

/** Walks the drive's folders. */
export function FolderPicker({ path, onPath, moving }: FolderPickerProps) {
  const { t } = useTranslation();
  const folder = useFolder(path, { key: 'name', order: 'asc' });
  const folders = folder.nodes.filter((node) => node.kind === 'folder');
  // Folders come before files, so a page that holds a file ends them.
  const more = folder.hasNextPage && folders.length === folder.nodes.length;
  const name = baseName(path) || t('explorer.root');
  return (
    <div>
      <nav aria-label={t('explorer.breadcrumbs')} className={classes.crumbs}>
        {ancestors(path).map((above, at) => (
          <Fragment key={above.path}>
            {at > 0 && <IconChevronRight size={14} aria-hidden />}
            <Button
              variant="subtle"
              size="compact-sm"
              onClick={() => onPath(above.path)}
              aria-current={above.path === path ? 'location' : undefined}
            >
              {above.name || t('explorer.root')}
            </Button>
          </Fragment>
        ))}
      </nav>
      <ul className={classes.list} aria-label={t('move.folders', { name })}>
        {folders.map((node) => (
          <li key={node.id}>
            <UnstyledButton
              className={classes.folder}
              disabled={moving.some((moved) => moved.id === node.id)}
              onClick={() => onPath(node.path)}
            >
              <NodeIcon kind="folder" name={node.name} />
              <Text truncate flex={1}>
                {node.name}
              </Text>
              <IconChevronRight size={16} aria-hidden />
            </UnstyledButton>
          </li>
        ))}
        {more && (
          <li>
            <Button
              variant="subtle"
              fullWidth
              loading={folder.isFetchingNextPage}
              onClick={() => void folder.fetchNextPage()}
            >
              {t('common.more')}
            </Button>
          </li>
        )}
        {folder.isPending && (
          <li>
            <Center h={120}>
              <Loader size="sm" aria-label={t('common.loading')} />
            </Center>
          </li>
        )}
        {(folder.isError || (folder.data && folders.length === 0)) && (
          <li className={classes.note}>
            {folder.isError ? problemText(toProblem(folder.error)) : t('move.noFolders')}
          </li>
        )}
      </ul>
    </div>
  );
}

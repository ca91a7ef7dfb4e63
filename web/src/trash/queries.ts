import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { accountKeys } from '../account/keys';
import { api, body, type Node } from '../api/client';
import { Problem } from '../api/problem';
import { noticeDone, noticeProblem } from '../app/notices';
import { parentPath } from '../explorer/path';
import { explorerKeys } from '../explorer/queries';
import { trashKeys } from './keys';

export function useTrash() {
  const query = useInfiniteQuery({
    queryKey: trashKeys.all,
    queryFn: async ({ pageParam, signal }) =>
      body(
        await api.GET('/api/v1/trash', {
          params: { query: { limit: 200, ...(pageParam && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.nextCursor,
  });
  const pages = query.data?.pages;
  const nodes = useMemo(() => pages?.flatMap((page) => page.items) ?? [], [pages]);
  const total = query.hasNextPage ? Math.max(pages?.[0]?.total ?? 0, nodes.length) : nodes.length;
  return { ...query, nodes, total };
}

function useRefreshAll() {
  const queries = useQueryClient();
  return () =>
    Promise.all(
      [trashKeys.all, explorerKeys.all, accountKeys.drive].map((queryKey) => queries.invalidateQueries({ queryKey })),
    );
}

interface Restore {
  node: Node;
  /** Where to; absent: where it was. */
  to?: string;
}

/** Whether a node cannot go back to where it was because that is gone. */
export function isParentGone(error: unknown): boolean {
  return error instanceof Problem && error.code === 'parent_gone';
}

/** Takes a node back. When the folder it was in is gone the caller asks for another one. */
export function useRestore() {
  const { t } = useTranslation();
  const refresh = useRefreshAll();
  return useMutation({
    mutationFn: async ({ node, to }: Restore) =>
      body(
        await api.POST('/api/v1/trash/{id}/restore', {
          params: { path: { id: node.id } },
          body: { conflict: 'rename', ...(to !== undefined && { parentPath: to }) },
        }),
      ),
    onSuccess: (node) => {
      const folder = parentPath(node.path);
      noticeDone(t('trash.restored', { name: node.name, folder: folder === '/' ? t('explorer.root') : folder }));
    },
    onError: (error) => {
      if (!isParentGone(error)) noticeProblem(t('problems.whileRestoring'), error);
    },
    onSettled: refresh,
  });
}

export function usePurge() {
  const { t } = useTranslation();
  const refresh = useRefreshAll();
  return useMutation({
    mutationFn: (node: Node) => api.DELETE('/api/v1/trash/{id}', { params: { path: { id: node.id } } }),
    onSuccess: (_, node) => noticeDone(t('trash.purged', { name: node.name })),
    onError: (error) => noticeProblem(t('problems.whilePurging'), error),
    onSettled: refresh,
  });
}

export function useEmptyTrash() {
  const { t } = useTranslation();
  const refresh = useRefreshAll();
  return useMutation({
    mutationFn: () => api.DELETE('/api/v1/trash'),
    onSuccess: () => noticeDone(t('trash.emptied')),
    onError: (error) => noticeProblem(t('problems.whilePurging'), error),
    onSettled: refresh,
  });
}

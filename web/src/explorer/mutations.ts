import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { api, body, type Node } from '../api/client';
import { each, type Outcome } from '../api/each';
import { Problem } from '../api/problem';
import { noticeDone, noticeProblem, noticeSome } from '../app/notices';
import { trashKeys } from '../trash/keys';
import { joinPath, parentPath } from './path';
import { forgetNodes, replaceNode, useRefresh } from './queries';

export function useCreateFolder(folder: string) {
  const { t } = useTranslation();
  const refresh = useRefresh();
  return useMutation({
    mutationFn: async (name: string) =>
      body(await api.POST('/api/v1/folders', { body: { path: joinPath(folder, name) } })),
    onSuccess: async (node) => {
      noticeDone(t('newFolder.done', { name: node.name }));
      await refresh(folder);
    },
  });
}

export function useRename(node: Node) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const refresh = useRefresh();
  const folder = parentPath(node.path);
  return useMutation({
    mutationFn: async (name: string) => update(node, { name }),
    onSuccess: async (renamed) => {
      noticeDone(t('rename.done', { name: renamed.name }));
      replaceNode(queries, folder, renamed);
      await refresh(folder);
    },
    onError: async (error) => {
      if (error instanceof Problem && (error.code === 'stale' || error.status === 404)) await refresh(folder);
    },
  });
}

export function useMove(from: string) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const refresh = useRefresh();
  return useMutation({
    mutationFn: ({ nodes, to }: { nodes: readonly Node[]; to: string }) =>
      each(nodes, (node) => update(node, { parentPath: to })),
    onSuccess: async (outcome, { nodes, to }) => {
      forgetNodes(queries, from, ids(outcome.done));
      const folder = to === '/' ? t('explorer.root') : to;
      const [first] = outcome.done;
      if (first) {
        noticeDone(
          outcome.done.length === 1
            ? t('move.doneNamed', { name: first.name, folder })
            : t('move.doneCount', { count: outcome.done.length, folder }),
        );
      }
      noticeSome(t('problems.whileMoving'), outcome.failed, nodes.length);
      await refresh(from, to);
    },
    onError: (error) => noticeProblem(t('problems.whileMoving'), error),
  });
}

/** Moves nodes of a folder to the trash and offers to take them back. */
export function useMoveToTrash(folder: string) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const refresh = useRefresh();
  const refreshAll = () => Promise.all([refresh(folder), queries.invalidateQueries({ queryKey: trashKeys.all })]);

  const undo = async (nodes: readonly Node[]) => {
    const { done, failed } = await each(nodes, (node) =>
      api.POST('/api/v1/trash/{id}/restore', { params: { path: { id: node.id } }, body: { conflict: 'rename' } }),
    );
    const [first] = done;
    if (first) {
      noticeDone(
        done.length === 1
          ? t('trashing.undoneNamed', { name: first.name })
          : t('trashing.undoneCount', { count: done.length }),
      );
    }
    noticeSome(t('problems.whileRestoring'), failed, nodes.length);
    await refreshAll();
  };

  return useMutation({
    mutationFn: async (nodes: readonly Node[]) => {
      // The rows go at once; what could not be deleted comes back with the next read.
      forgetNodes(queries, folder, ids(nodes));
      return each(nodes, (node) =>
        api.DELETE('/api/v1/files/{id}', { params: { path: { id: node.id }, header: { 'If-Match': node.etag } } }),
      );
    },
    onSuccess: async ({ done, failed }: Outcome<Node>, nodes) => {
      const [first] = done;
      if (first) {
        noticeDone(
          done.length === 1
            ? t('trashing.doneNamed', { name: first.name })
            : t('trashing.doneCount', { count: done.length }),
          () => void undo(done),
        );
      }
      noticeSome(t('problems.whileTrashing'), failed, nodes.length);
      await refreshAll();
    },
  });
}

async function update(node: Node, change: { name: string } | { parentPath: string }): Promise<Node> {
  return body(
    await api.PATCH('/api/v1/files/{id}', {
      params: { path: { id: node.id }, header: { 'If-Match': node.etag } },
      body: change,
    }),
  );
}

function ids(nodes: readonly Node[]): Set<string> {
  return new Set(nodes.map((node) => node.id));
}

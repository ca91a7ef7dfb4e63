import { useInfiniteQuery, useQueryClient, type InfiniteData, type QueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import { accountKeys } from '../account/keys';
import { api, body, type Node, type NodePage } from '../api/client';

export type SortKey = 'name' | 'size' | 'modified';

export interface Sort {
  key: SortKey;
  order: 'asc' | 'desc';
}

export const explorerKeys = {
  all: ['explorer'] as const,
  folders: ['explorer', 'folder'] as const,
  folder: (path: string) => ['explorer', 'folder', path] as const,
  listing: (path: string, sort: Sort) => ['explorer', 'folder', path, sort] as const,
  versions: (id: string) => ['explorer', 'versions', id] as const,
};

/** A screenful at once, then as much as the server gives: a reader who drags the scroll bar waits for the rest. */
const firstPage = 200;
const nextPages = 1000;

/** A folder's entries, a page at a time. */
export function useFolder(path: string, sort: Sort) {
  const query = useInfiniteQuery({
    queryKey: explorerKeys.listing(path, sort),
    queryFn: async ({ pageParam, signal }) =>
      body(
        await api.GET('/api/v1/files', {
          params: {
            query: {
              path,
              limit: pageParam ? nextPages : firstPage,
              sort: sort.key,
              order: sort.order,
              ...(pageParam && { cursor: pageParam }),
            },
          },
          signal,
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.nextCursor,
    // Comparing every entry with its old self after every page would make a large folder quadratic.
    structuralSharing: false,
  });
  const pages = query.data?.pages;
  const nodes = useMemo(() => pages?.flatMap((page) => page.items) ?? [], [pages]);
  // A page says what the folder held when it was read; there are never fewer than what was read.
  const total = Math.max(pages?.[0]?.total ?? 0, nodes.length);
  return { ...query, nodes, total: query.hasNextPage ? total : nodes.length };
}

/** Reads a folder again, whatever it is sorted by, and what is used of the drive. */
export function useRefresh() {
  const queries = useQueryClient();
  return (...paths: string[]) =>
    Promise.all([
      ...paths.map((path) => queries.invalidateQueries({ queryKey: explorerKeys.folder(path) })),
      queries.invalidateQueries({ queryKey: accountKeys.drive }),
    ]);
}

/** Takes nodes out of a folder's listings at once; the next read is the truth again. */
export function forgetNodes(queries: QueryClient, path: string, ids: ReadonlySet<string>): void {
  patchListings(queries, path, (page) => {
    const items = page.items.filter((node) => !ids.has(node.id));
    return { ...page, items };
  });
}

export function replaceNode(queries: QueryClient, path: string, changed: Node): void {
  patchListings(queries, path, (page) => ({
    ...page,
    items: page.items.map((node) => (node.id === changed.id ? changed : node)),
  }));
}

function patchListings(queries: QueryClient, path: string, patch: (page: NodePage) => NodePage): void {
  queries.setQueriesData<InfiniteData<NodePage>>({ queryKey: explorerKeys.folder(path) }, (data) => {
    if (!data) return data;
    const pages = data.pages.map(patch);
    const count = (all: NodePage[]) => all.reduce((sum, page) => sum + page.items.length, 0);
    const gone = count(data.pages) - count(pages);
    return { ...data, pages: pages.map((page) => ({ ...page, total: Math.max(0, page.total - gone) })) };
  });
}

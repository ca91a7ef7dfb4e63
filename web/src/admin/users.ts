import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { api, body } from '../api/client';
import type { components } from '../api/schema.gen';
import { adminKeys } from './keys';

export type ManagedUser = components['schemas']['ManagedUser'];
export type UserState = ManagedUser['state'];
export type UserRole = ManagedUser['role'];

/** Accounts by login, a page at a time: those in a state, and those whose login, name or phone begins so. */
export function useUsers(query: string, state: UserState | undefined) {
  const users = useInfiniteQuery({
    queryKey: [...adminKeys.users, query, state],
    queryFn: async ({ pageParam, signal }) =>
      body(
        await api.GET('/api/v1/admin/users', {
          params: {
            query: {
              limit: 50,
              ...(query && { query }),
              ...(state && { state }),
              ...(pageParam && { cursor: pageParam }),
            },
          },
          signal,
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.nextCursor,
    // What was found for the letters before stays until there is something for these.
    placeholderData: keepPreviousData,
  });
  return { ...users, items: users.data?.pages.flatMap((page) => page.items) ?? [] };
}

/** What an account is called where one line has to do. */
export function userLabel({ login, name }: { login: string; name?: string }): string {
  return name ? `${name} (${login})` : login;
}

/** A path of ours as somebody else has to open it. */
export function fullLink(path: string): string {
  return new URL(path, window.location.origin).href;
}

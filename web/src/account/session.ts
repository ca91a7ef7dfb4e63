import { hashKey, useMutation, useQuery, useQueryClient, type QueryClient } from '@tanstack/react-query';
import { api, body, type Account } from '../api/client';
import { Problem } from '../api/problem';
import type { components } from '../api/schema.gen';
import { accountKeys } from './keys';

/** Who is signed in; null for nobody. */
export function useMe() {
  return useQuery({ queryKey: accountKeys.me, queryFn: fetchMe, staleTime: 60_000 });
}

async function fetchMe(): Promise<Account | null> {
  try {
    return body(await api.GET('/api/v1/me'));
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return null;
    throw error;
  }
}

/** The account on screen. Only for components below RequireSession. */
export function useSessionUser(): Account {
  const { data } = useMe();
  if (!data) throw new Error('no session');
  return data;
}

/** Remembers that nobody is signed in, which leads the page to the sign-in. */
export function forgetSession(queries: QueryClient): void {
  queries.setQueryData(accountKeys.me, null);
}

/** Drops all that an account saw: none of it may flash up for another one. */
function forgetData(queries: QueryClient): void {
  queries.removeQueries({ predicate: (query) => query.queryHash !== hashKey(accountKeys.me) });
}

export type Credentials = components['schemas']['SessionRequest'];

/** Signs in, in whichever way, and makes the page the account's. */
export async function enterSession(queries: QueryClient, credentials: Credentials): Promise<void> {
  await api.POST('/api/v1/auth/session', { body: credentials });
  const account = await fetchMe();
  forgetData(queries);
  queries.setQueryData(accountKeys.me, account);
}

/** The same for a form; an account that asks for a second factor answers with the code totp_required. */
export function useSignIn() {
  const queries = useQueryClient();
  return useMutation({ mutationFn: (credentials: Credentials) => enterSession(queries, credentials) });
}

export function useSignOut() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => api.POST('/api/v1/auth/logout'),
    onSuccess: () => {
      forgetSession(queries);
      forgetData(queries);
    },
  });
}

export function useDrive() {
  return useQuery({ queryKey: accountKeys.drive, queryFn: async () => body(await api.GET('/api/v1/drive')) });
}

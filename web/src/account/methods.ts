import { useQuery } from '@tanstack/react-query';
import { api, body } from '../api/client';
import type { components } from '../api/schema.gen';

export type SignInMethods = components['schemas']['SignInMethods'];

/** How one can get in here. The password always works, so no page waits for this. */
export function useSignInMethods() {
  return useQuery({
    queryKey: ['methods'],
    queryFn: async () => body(await api.GET('/api/v1/auth/methods')),
    staleTime: 60_000,
  });
}

/** The address at which another site's sign-in begins: a navigation, no request of the page. */
export function providerLink(name: string, next: string): string {
  return `/api/v1/auth/providers/${encodeURIComponent(name)}?${new URLSearchParams({ next }).toString()}`;
}

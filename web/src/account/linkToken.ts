import { useSyncExternalStore } from 'react';

/** The page that one-time links lead to. */
export const linkPath = '/welcome';

interface OneTimeLink {
  /** "" for none. */
  token: string;
  /** Which of the links it is that were opened in this window: a name for it that tells nothing. */
  nr: number;
}

let link: OneTimeLink = { token: '', nr: 0 };
const listeners = new Set<() => void>();

/**
 * Takes the token of a one-time link out of the address bar, where others could read it from the screen or the
 * browser's history. It then lives in this page's memory alone: in no address, log or storage.
 */
function take(): void {
  if (window.location.pathname !== linkPath || window.location.hash.length < 2) return;
  link = { token: window.location.hash.slice(1), nr: link.nr + 1 };
  window.history.replaceState(window.history.state, '', linkPath);
  for (const listener of listeners) listener();
}

// At once, so that not even the router sees it.
take();
// A second link that is opened in this window changes nothing but the hash.
window.addEventListener('hashchange', take);

/** The link that the page was opened with. */
export function useLinkToken(): OneTimeLink {
  return useSyncExternalStore(subscribe, () => link);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

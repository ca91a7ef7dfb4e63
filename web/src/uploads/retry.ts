import type { Problem } from '../api/problem';

/** How often one file is tried before its failure is shown. */
export const maxTries = 8;

const firstDelay = 500;
const longestDelay = 30_000;

/** Whether the same upload may succeed later. The Idempotency-Key makes trying again harmless. */
export function mayRetry(problem: Problem): boolean {
  switch (problem.status) {
    case 0:
    case 408:
    case 425:
    case 429:
      return true;
    // Not Implemented, HTTP Version Not Supported; Insufficient Storage, where only the reader can make room.
    case 501:
    case 505:
    case 507:
      return false;
    default:
      return problem.status >= 500;
  }
}

/**
 * How long to wait, in ms, after the try with number `tries` (from 1) failed: exponential with full jitter, so
 * that clients which failed together do not come back together, and never sooner than the server asked.
 */
export function retryDelay(tries: number, retryAfter: number | undefined, random: () => number): number {
  const ceiling = Math.min(longestDelay, firstDelay * 2 ** (tries - 1));
  return (retryAfter ?? 0) + random() * ceiling;
}

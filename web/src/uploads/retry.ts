import { toProblem, type Problem } from '../api/problem';

/** How often one request is tried before its failure is shown. */
export const maxTries = 8;
/** How often a request of an upload session is: some twenty minutes, as what was sent before is not lost. */
export const sessionTries = 80;

const firstDelay = 500;
const longestDelay = 30_000;

/** Whether the same request may succeed later. The Idempotency-Key makes trying again harmless. */
export function mayRetry(problem: Pick<Problem, 'status'>): boolean {
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

/** How waiting is done; tests have their own. */
export interface Clock {
  /** Resolves after ms, or as soon as the signal aborts. */
  wait: (ms: number, signal: AbortSignal) => Promise<void>;
  random: () => number;
  /** In ms, from some moment on. */
  now: () => number;
}

export interface Patience {
  signal: AbortSignal;
  clock: Clock;
  tries: number;
  /** Called before a wait for the next try. */
  onWait: (problem: Problem) => void;
}

/** Does work until it succeeds, fails for good, or the signal aborts. Rejects with a Problem. */
export async function patiently<T>(work: () => Promise<T>, patience: Patience): Promise<T> {
  const { signal, clock, tries, onWait } = patience;
  const aborted = () => signal.aborted;
  for (let failures = 1; ; failures++) {
    try {
      return await work();
    } catch (error) {
      const problem = toProblem(error);
      if (aborted() || !mayRetry(problem) || failures >= tries) throw problem;
      onWait(problem);
      await clock.wait(retryDelay(failures, problem.retryAfter, clock.random), signal);
      if (aborted()) throw problem;
    }
  }
}

export const realClock: Clock = {
  wait: (ms, signal) =>
    new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      function done() {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      }
      signal.addEventListener('abort', done);
    }),
  random: Math.random,
  now: () => performance.now(),
};

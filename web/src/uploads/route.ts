const mib = 1 << 20;

/** Files up to this size travel together. */
const smallFile = mib;
/** Files above this size travel in blocks, and can go on after an interruption. */
const wholeFile = 8 * mib;
/** Files up to this size are hashed before anything is sent: perhaps the drive has their bytes already. */
const hashedFirst = 512 * mib;

/** How much one batch holds. */
export const batchFiles = 200;
export const batchBytes = 8 * mib;

export type Route = 'batch' | 'single' | 'session';

/** How a file of this size travels. */
export function routeOf(size: number): Route {
  if (size <= smallFile) return 'batch';
  return size <= wholeFile ? 'single' : 'session';
}

/** Whether a file is hashed first. Over an older version always, as only the blocks that differ travel then. */
export function isAnnounced(size: number, replaces: boolean): boolean {
  return replaces || size <= hashedFirst;
}

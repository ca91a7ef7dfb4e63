import type { Problem } from '../api/problem';

/** What happens when a name is taken; the words are the API's own. "fail" shows as "skip". */
export type ConflictPolicy = 'rename' | 'replace' | 'fail';

export type UploadState =
  | 'waiting'
  /** Its blocks are hashed; nothing is sent yet. */
  | 'preparing'
  | 'sending'
  /** All bytes are sent; the server makes them durable. */
  | 'finishing'
  | 'retrying'
  /** The reader said so. */
  | 'paused'
  /** The page was loaded again and no longer has the file: the reader must say where it is. */
  | 'lost'
  | 'done'
  /** Done without sending: the drive had the bytes already. */
  | 'instant'
  | 'skipped'
  | 'failed'
  | 'cancelled';

/** One file on its way. Items are never changed in place: a new object means a change. */
export interface UploadItem {
  readonly id: number;
  /** The id of the account that chose the file; its bytes go to no other one. */
  readonly owner: string;
  /** Where the file goes, an absolute path in the drive. */
  readonly path: string;
  readonly size: number;
  /** Undefined only while it is lost. */
  readonly file: File | undefined;
  /** How the file is found again after the page was loaded again, where the browser can. */
  readonly handle: FileSystemFileHandle | undefined;
  readonly policy: ConflictPolicy;
  /** The same for every try of this file, also after the page was loaded again. */
  readonly idempotencyKey: string;
  readonly state: UploadState;
  /** Bytes that the server has or that are on the line. */
  readonly sent: number;
  /** Bytes hashed while preparing. */
  readonly hashed: number;
  /** It travels in a batch now: it cannot be stopped without its companions. */
  readonly together: boolean;
  readonly problem?: Problem;
}

const active: ReadonlySet<UploadState> = new Set(['waiting', 'preparing', 'sending', 'finishing', 'retrying']);

/** Whether something is done about it, or soon will be, by itself. */
export function isActive(state: UploadState): boolean {
  return active.has(state);
}

/** Whether it goes on when the reader wants it to. */
export function isHeld(state: UploadState): boolean {
  return state === 'paused' || state === 'lost';
}

export function isStored(state: UploadState): boolean {
  return state === 'done' || state === 'instant';
}

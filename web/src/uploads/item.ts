import type { Problem } from '../api/problem';

/** What happens when a name is taken; the words are the API's own. "fail" shows as "skip". */
export type ConflictPolicy = 'rename' | 'replace' | 'fail';

export type UploadState =
  | 'waiting'
  | 'sending'
  /** All bytes are sent; the server makes them durable. */
  | 'finishing'
  | 'retrying'
  | 'done'
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
  readonly file: File;
  readonly policy: ConflictPolicy;
  /** The same for every try of this file. */
  readonly idempotencyKey: string;
  readonly state: UploadState;
  /** Bytes sent in the present try. */
  readonly sent: number;
  readonly problem?: Problem;
}

export function isActive(state: UploadState): boolean {
  return state === 'waiting' || state === 'sending' || state === 'finishing' || state === 'retrying';
}

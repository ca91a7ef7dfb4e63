import { isActive, isHeld, isStored, type UploadItem } from './item';

/** Why nothing is sent although files wait: no network, or nobody is signed in. */
export type Halt = 'offline' | 'signedOut';

/** All uploads at a moment, as the panel shows them. */
export interface UploadsSnapshot {
  readonly items: readonly UploadItem[];
  readonly halt: Halt | undefined;
  readonly active: number;
  /** Active ones that can be paused. */
  readonly pausable: number;
  readonly paused: number;
  readonly lost: number;
  readonly done: number;
  readonly failed: number;
  /** Bytes of the items that were neither cancelled nor skipped nor failed. */
  readonly bytes: number;
  readonly sent: number;
  /** Bytes a second. */
  readonly rate: number;
  /** Seconds until all that is active is sent; undefined while there is no telling. */
  readonly left: number | undefined;
}

export function takeSnapshot(items: readonly UploadItem[], halt: Halt | undefined, rate: number): UploadsSnapshot {
  const counts = { active: 0, pausable: 0, paused: 0, lost: 0, done: 0, failed: 0 };
  let bytes = 0;
  let sent = 0;
  let ahead = 0;
  for (const { state, size, sent: of, together } of items) {
    const there = isStored(state) ? size : Math.min(of, size);
    if (isActive(state)) {
      counts.active++;
      if (!together) counts.pausable++;
      ahead += size - there;
    } else if (isStored(state)) counts.done++;
    else if (state === 'failed' || state === 'paused' || state === 'lost') counts[state]++;
    if (isActive(state) || isHeld(state) || isStored(state)) {
      bytes += size;
      sent += there;
    }
  }
  const left = counts.active > 0 && rate > 0 ? ahead / rate : undefined;
  return { items, halt, ...counts, bytes, sent, rate, left };
}

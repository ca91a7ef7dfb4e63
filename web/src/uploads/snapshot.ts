import { isActive, type UploadItem } from './item';

/** All uploads at a moment, as the panel shows them. */
export interface UploadsSnapshot {
  readonly items: readonly UploadItem[];
  readonly paused: boolean;
  readonly active: number;
  readonly done: number;
  readonly failed: number;
  /** Bytes of the items that were neither cancelled nor skipped nor failed. */
  readonly bytes: number;
  readonly sent: number;
  /** Bytes a second. */
  readonly rate: number;
  /** Seconds until all is sent; undefined while there is no telling. */
  readonly left: number | undefined;
}

export function takeSnapshot(items: readonly UploadItem[], paused: boolean, rate: number): UploadsSnapshot {
  let active = 0;
  let done = 0;
  let failed = 0;
  let bytes = 0;
  let sent = 0;
  for (const item of items) {
    if (isActive(item.state)) active++;
    else if (item.state === 'done') done++;
    else if (item.state === 'failed') failed++;
    if (isActive(item.state) || item.state === 'done') {
      bytes += item.file.size;
      sent += item.state === 'done' ? item.file.size : Math.min(item.sent, item.file.size);
    }
  }
  const left = active > 0 && rate > 0 ? (bytes - sent) / rate : undefined;
  return { items, paused, active, done, failed, bytes, sent, rate, left };
}

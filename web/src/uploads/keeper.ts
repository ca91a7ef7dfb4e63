import type { RestoredUpload } from './engine';
import { sampleOf } from './handles';
import type { ConflictPolicy, UploadItem } from './item';
import { routeOf } from './route';
import type { SessionBook, SessionRef } from './session';

/** What is kept of an upload beyond the life of the page. */
export interface UploadRecord {
  /** The upload's idempotency key. */
  key: string;
  owner: string;
  path: string;
  policy: ConflictPolicy;
  name: string;
  size: number;
  lastModified: number;
  /** Says whether a file holds the same bytes; see sampleOf. */
  sample: string;
  handle?: FileSystemFileHandle | undefined;
  session?: SessionRef | undefined;
  /** When it was chosen, and last touched, ms since 1970. */
  added: number;
  touched: number;
}

/** Where records are kept. None of it may fail: without a place to keep them, uploads end with the page. */
export interface RecordStore {
  all: () => Promise<UploadRecord[]>;
  get: (key: string) => Promise<UploadRecord | undefined>;
  put: (records: readonly UploadRecord[]) => Promise<void>;
  remove: (key: string) => Promise<void>;
}

/** Makes sure that one page at a time drives an upload. */
export interface Locks {
  /** Resolves once no other page holds it. */
  take: (key: string) => Promise<void>;
  release: (key: string) => void;
}

/** The server forgets an upload before that; its record is worth nothing then, ms. */
const life = 7 * 24 * 3600 * 1000;

/** Keeps the large uploads, so that they go on after the page was loaded again. */
export class Keeper implements SessionBook {
  private readonly store: RecordStore;
  private readonly locks: Locks;
  private readonly now: () => number;
  private readonly records = new Map<string, UploadRecord>();
  /** Those that another page drives. */
  private readonly awaited = new Set<string>();

  constructor(store: RecordStore, locks: Locks, now: () => number = Date.now) {
    this.store = store;
    this.locks = locks;
    this.now = now;
  }

  /** Begins to keep those of the uploads that can go on later. */
  add(items: readonly UploadItem[]): void {
    const added = items.flatMap(({ file, ...item }) => {
      if (!file || routeOf(item.size) !== 'session') return [];
      const { name, size, lastModified } = file;
      const { idempotencyKey: key, owner, path, policy, handle } = item;
      const of = { key, owner, path, policy, name, size, lastModified, handle };
      this.records.set(key, { ...of, sample: '', added: this.now(), touched: this.now() });
      void this.locks.take(key);
      return [{ key, file }];
    });
    this.save(added.map(({ key }) => key));
    for (const { key, file } of added) void this.sample(key, file);
  }

  get(key: string): SessionRef | undefined {
    return this.records.get(key)?.session;
  }

  set(key: string, session: SessionRef | undefined): void {
    this.change(key, { session });
  }

  forget(key: string): void {
    if (this.leave(key)) void this.store.remove(key);
  }

  /** Drives it no longer, but keeps it for its account's next visit. */
  leave(key: string): boolean {
    const had = this.records.delete(key);
    if (had) this.locks.release(key);
    return had;
  }

  /**
   * Finds the uploads of an account. One that another page drives is found when that page closes or reloads before
   * it is over.
   */
  async restore(owner: string, found: (record: UploadRecord) => void): Promise<void> {
    const records = await this.store.all();
    for (const { key, touched, owner: whose } of records.sort((a, b) => a.added - b.added)) {
      if (this.records.has(key) || this.awaited.has(key)) continue;
      if (this.now() - touched > life) void this.store.remove(key);
      else if (whose === owner) void this.await(key, found);
    }
  }

  private async await(key: string, found: (record: UploadRecord) => void): Promise<void> {
    this.awaited.add(key);
    await this.locks.take(key);
    this.awaited.delete(key);
    const record = await this.store.get(key);
    if (record) {
      this.records.set(key, record);
      found(record);
    } else {
      this.locks.release(key);
    }
  }

  /** The upload whose file this is, of those with the keys; undefined when it belongs to none. */
  async recognise(keys: readonly string[], file: File): Promise<string | undefined> {
    const alike = keys.filter((key) => {
      const record = this.records.get(key);
      return record?.name === file.name && record.size === file.size && record.lastModified === file.lastModified;
    });
    if (alike.length === 0) return undefined;
    const sample = await sampleOf(file);
    return alike.find((key) => {
      const known = this.records.get(key)?.sample;
      return known === '' || known === sample;
    });
  }

  private async sample(key: string, file: File): Promise<void> {
    this.change(key, { sample: await sampleOf(file) });
  }

  private change(key: string, change: Partial<UploadRecord>): void {
    const record = this.records.get(key);
    if (!record) return;
    this.records.set(key, { ...record, ...change, touched: this.now() });
    this.save([key]);
  }

  private save(keys: readonly string[]): void {
    const records = keys.flatMap((key) => this.records.get(key) ?? []);
    if (records.length > 0) void this.store.put(records);
  }
}

/** The upload that a record stands for; sent says how much of it the server has. */
export function revived(record: UploadRecord, file: File | undefined, sent: number): RestoredUpload {
  const { path, size, handle, policy, key } = record;
  return { path, size, file, handle, policy, sent, idempotencyKey: key };
}

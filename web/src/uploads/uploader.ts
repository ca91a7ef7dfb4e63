import { newCarrier } from './carrier';
import { UploadEngine } from './engine';
import { fileBehind } from './handles';
import { newHasher } from './hasher';
import type { UploadItem } from './item';
import { findStored } from './lookup';
import { Keeper, revived, type UploadRecord } from './keeper';
import { realClock } from './retry';
import { missingBytes } from './session';
import { indexedRecords, webLocks } from './storage';
import { Traffic } from './traffic';
import { putBatch, putContent, sessionTransport } from './transport';
import { isReadable } from './xhr';

interface UploaderOptions {
  onStored: (item: UploadItem) => void;
  onSignedOut: () => void;
}

interface Found {
  path: string;
  file: File;
}

/** The upload engine of this page with all that it needs of the browser, and the uploads that outlive the page. */
export class Uploader {
  readonly engine: UploadEngine;
  private readonly keeper = new Keeper(indexedRecords(), webLocks());
  private owner: string | undefined;

  constructor({ onStored, onSignedOut }: UploaderOptions) {
    const { keeper } = this;
    const carrier = newCarrier({
      transport: sessionTransport,
      hasher: newHasher(),
      traffic: new Traffic(realClock.now),
      book: keeper,
      clock: realClock,
      putContent,
      putBatch,
      isReadable,
      findStored,
    });
    this.engine = new UploadEngine({
      carrier,
      onStored,
      onSignedOut,
      onAdded: (items) => keeper.add(items),
      onLeft: ({ idempotencyKey }) => void keeper.leave(idempotencyKey),
      onOver: ({ idempotencyKey: key, state }) => {
        const session = keeper.get(key);
        // The server would forget it too, later; until then it would hold room in the drive.
        if (session && (state === 'cancelled' || state === 'failed')) {
          sessionTransport.drop(session).catch(() => undefined);
        }
        keeper.forget(key);
      },
    });
  }

  /** Goes on for an account, also with what an earlier life of the page did not finish. */
  signedIn(owner: string): void {
    this.owner = owner;
    this.engine.signedIn(owner);
    void this.keeper.restore(owner, (record) => void this.revive(record));
  }

  /** Hands files to the lost uploads that they belong to, and returns the others. */
  async reclaim<T extends Found>(files: readonly T[]): Promise<T[]> {
    const others: T[] = [];
    for (const found of files) {
      const here = this.lost().filter((item) => item.path === found.path);
      if (!(await this.offer(here, found.file))) others.push(found);
    }
    return others;
  }

  /** Hands chosen files to the lost uploads; false when one of the files belongs to none. */
  async choose(files: readonly File[]): Promise<boolean> {
    let all = true;
    for (const file of files) all = (await this.offer(this.lost(), file)) && all;
    return all;
  }

  /** Opens the file of a lost upload again, which may need the reader's leave; false when the file must be chosen. */
  async reopen(item: UploadItem): Promise<boolean> {
    const file = item.handle && (await fileBehind(item.handle, true));
    return file !== undefined && this.offer([item], file);
  }

  private async revive(record: UploadRecord): Promise<void> {
    const { key, owner, handle } = record;
    const behind = handle && (await fileBehind(handle, false));
    const file = behind && (await this.keeper.recognise([key], behind)) ? behind : undefined;
    const sent = await this.arrived(record);
    if (owner !== this.owner) this.keeper.leave(key);
    else if (sent === undefined) this.keeper.forget(key);
    else this.engine.restore([revived(record, file, sent)], owner);
  }

  /** How much the server has of an upload; undefined when the file is there already. */
  private async arrived({ session, size }: UploadRecord): Promise<number | undefined> {
    if (!session) return 0;
    try {
      const now = await sessionTransport.get(session, new AbortController().signal);
      return now.node ? undefined : size - missingBytes(now, size);
    } catch {
      // Whoever sends the rest finds out what is wrong, and tells.
      return 0;
    }
  }

  private async offer(items: readonly UploadItem[], file: File): Promise<boolean> {
    if (items.length === 0) return false;
    const key = await this.keeper.recognise(
      items.map((item) => item.idempotencyKey),
      file,
    );
    const item = items.find((each) => each.idempotencyKey === key);
    if (item) this.engine.find(item.id, file);
    return item !== undefined;
  }

  private lost(): UploadItem[] {
    return this.engine.snapshot().items.filter((item) => item.state === 'lost');
  }
}

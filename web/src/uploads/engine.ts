import { toProblem, type Problem } from '../api/problem';
import { Board, type BoardOptions } from './board';
import { isActive, isHeld, type ConflictPolicy, type UploadItem, type UploadState } from './item';
import { batchBytes, batchFiles, routeOf } from './route';
import type { Halt, UploadsSnapshot } from './snapshot';

/** How a file's carrier tells how it goes. Nothing of it counts once the signal has aborted. */
export interface Course {
  readonly signal: AbortSignal;
  hashed: (bytes: number) => void;
  /** What the server has from before: done, though this page carried none of it now. */
  resumed: (bytes: number) => void;
  /** All that the server has or the line carries of the file. */
  sent: (bytes: number) => void;
  retrying: (problem: Problem) => void;
}

/** A file with its course, in a batch. */
export interface Companion {
  readonly item: UploadItem;
  readonly course: Course;
}

/** How an entry of a batch ended; alone: it is to be sent by itself. */
export type Verdict = 'stored' | 'alone' | Problem;

/** Carries files to the server, and tries again itself. Both reject with a Problem, or anything once aborted. */
export interface Carrier {
  send: (item: UploadItem, course: Course) => Promise<'stored' | 'instant'>;
  /** Resolves with a verdict for each, in their order. The key is the same when the same batch is sent again. */
  sendTogether: (batch: readonly Companion[], key: string, signal: AbortSignal) => Promise<Verdict[]>;
}

export interface EngineOptions extends Partial<BoardOptions> {
  carrier: Carrier;
  /** How many files, or batches, are under way at once. */
  parallel?: number;
  /** Called with files that were added, before any of them is sent. */
  onAdded?: (items: readonly UploadItem[]) => void;
  /** Called when a file was stored. */
  onStored?: (item: UploadItem) => void;
  /** Called when nothing will be done about a file any more: it is stored, skipped, cancelled or dismissed. */
  onOver?: (item: UploadItem) => void;
  /** Called when a file is let go of because another account is signed in now. */
  onLeft?: (item: UploadItem) => void;
  /** Called when the server says that nobody is signed in; the engine halts then. */
  onSignedOut?: () => void;
  newKey?: () => string;
}

export interface NewUpload {
  path: string;
  file: File;
  handle?: FileSystemFileHandle | undefined;
}

/** An upload of an earlier life of this page. */
export interface RestoredUpload {
  path: string;
  size: number;
  /** Undefined when the reader must say where it is. */
  file: File | undefined;
  handle: FileSystemFileHandle | undefined;
  policy: ConflictPolicy;
  idempotencyKey: string;
  /** How much of it the server has, as far as is known. */
  sent: number;
}

interface Job {
  ids: number[];
  key: string;
  abort: AbortController;
}

/**
 * The queue of uploads: it keeps a few files, or batches of small ones, under way, and tells its subscribers how
 * it goes. What a file is carried by knows how to try again; a file keeps its place among the few meanwhile, so
 * that a server in trouble gets less to do and not more.
 */
export class UploadEngine {
  private readonly options: Required<EngineOptions>;
  private readonly board: Board;
  private readonly jobs = new Map<number, Job>();
  private readonly running = new Set<Job>();
  private readonly alone = new Set<number>();
  /** Batches that were interrupted: sent again just as they were, so that the server knows them again. */
  private batches: Job[] = [];
  private queue: number[] = [];
  private nextID = 1;
  private offline = false;
  private signedOut = false;
  private quiet = false;

  constructor(options: EngineOptions) {
    this.options = {
      parallel: 4,
      onAdded: () => undefined,
      onStored: () => undefined,
      onOver: () => undefined,
      onLeft: () => undefined,
      onSignedOut: () => undefined,
      defer: (run) => setTimeout(run, 100),
      now: () => performance.now(),
      newKey,
      ...options,
    };
    this.board = new Board(this.options);
  }

  readonly subscribe = (listener: () => void): (() => void) => this.board.subscribe(listener);

  readonly snapshot = (): UploadsSnapshot => this.board.snapshot();

  add(files: readonly NewUpload[], owner: string, policy: ConflictPolicy): void {
    const items = files.map(({ path, file, handle }) =>
      this.enlist({
        path,
        file,
        size: file.size,
        handle,
        policy,
        owner,
        sent: 0,
        idempotencyKey: this.options.newKey(),
      }),
    );
    this.options.onAdded(items);
    this.pump();
  }

  /** Takes up uploads of an earlier life of the page. */
  restore(uploads: readonly RestoredUpload[], owner: string): void {
    for (const upload of uploads) this.enlist({ ...upload, owner });
    this.pump();
  }

  /** Gives a lost upload its file again. */
  find(id: number, file: File): void {
    if (this.board.item(id)?.state !== 'lost') return;
    this.board.patch(id, { file });
    this.requeue(id);
    this.pump();
  }

  pause(id: number): void {
    const item = this.board.item(id);
    if (!item || !isActive(item.state) || item.together) return;
    this.board.patch(id, { state: 'paused' });
    this.stop(id);
    this.pump();
  }

  /** Batches that are under way end first: they are short. */
  pauseAll(): void {
    this.quietly(() => this.board.items().forEach((item) => this.pause(item.id)));
  }

  resume(id: number): void {
    if (this.board.item(id)?.state !== 'paused') return;
    this.requeue(id);
    this.pump();
  }

  resumeAll(): void {
    // Backwards, as each goes to the front of the queue.
    for (const item of [...this.board.items()].reverse()) if (item.state === 'paused') this.requeue(item.id);
    this.pump();
  }

  cancel(id: number): void {
    const item = this.board.item(id);
    if (item && !item.together) this.giveUp(item);
  }

  cancelAll(): void {
    this.quietly(() => this.board.items().forEach((item) => this.giveUp(item)));
  }

  /** Starts a failed file again, or every failed one. */
  retry(id?: number): void {
    for (const item of [...this.board.items()].reverse()) {
      if (item.state === 'failed' && (id === undefined || item.id === id)) this.requeue(item.id);
    }
    this.pump();
  }

  /** Forgets all that is over. */
  clearFinished(): void {
    const gone = this.board.keep((item) => isActive(item.state) || isHeld(item.state));
    for (const item of gone) if (item.state === 'failed') this.options.onOver(item);
  }

  /** Goes on for the account that is signed in now; files of another one are cancelled. */
  signedIn(owner: string): void {
    const others = this.board.items().filter((item) => item.owner !== owner);
    this.quietly(() => others.forEach((item) => this.giveUp(item, this.options.onLeft)));
    this.signedOut = false;
    this.halted();
  }

  setOnline(online: boolean): void {
    if (this.offline === !online) return;
    this.offline = !online;
    if (!online) for (const job of [...this.running]) this.putBack(job);
    this.halted();
  }

  private halted(): void {
    const halt: Halt | undefined = this.signedOut ? 'signedOut' : this.offline ? 'offline' : undefined;
    if (halt !== this.board.halt) {
      this.board.halt = halt;
      this.board.changed();
    }
    this.pump();
  }

  private enlist(upload: RestoredUpload & { owner: string }): UploadItem {
    const id = this.nextID++;
    const state: UploadState = upload.file ? 'waiting' : 'lost';
    const item: UploadItem = { ...upload, id, state, hashed: 0, together: false };
    this.board.add(item);
    if (upload.file) this.queue.push(id);
    return item;
  }

  private giveUp(item: UploadItem, tell = this.options.onOver): void {
    if (!isActive(item.state) && !isHeld(item.state)) return;
    this.board.patch(item.id, { state: 'cancelled', together: false });
    this.stop(item.id);
    tell({ ...item, state: 'cancelled' });
    this.pump();
  }

  private stop(id: number): void {
    const job = this.jobs.get(id);
    job?.abort.abort();
    if (job) this.leave(job);
  }

  private requeue(id: number): void {
    this.board.patch(id, { state: 'waiting', hashed: 0, together: false, problem: undefined });
    this.queue.unshift(id);
  }

  /** Changes many files before the next one starts. */
  private quietly(change: () => void): void {
    this.quiet = true;
    change();
    this.quiet = false;
    this.pump();
  }

  private pump(): void {
    while (!this.quiet && !this.board.halt && this.running.size < this.options.parallel) {
      const job = this.next();
      if (!job) return;
      this.running.add(job);
      for (const id of job.ids) this.jobs.set(id, job);
      void this.run(job);
    }
  }

  /** The next file, or small files that go together. */
  private next(): Job | undefined {
    for (let again = this.batches.shift(); again; again = this.batches.shift()) {
      const waiting = again.ids.filter((id) => this.board.item(id)?.state === 'waiting');
      if (waiting.length === again.ids.length) return { ...again, abort: new AbortController() };
      for (const id of waiting) this.sendAlone(id);
    }
    const ids: number[] = [];
    let bytes = 0;
    let first: UploadItem | undefined;
    while (this.queue.length > 0 && ids.length < batchFiles) {
      const item = this.board.item(this.queue[0] ?? 0);
      if (item?.state === 'waiting') {
        const joins = !this.alone.has(item.id) && routeOf(item.size) === 'batch';
        if (first && (!joins || item.policy !== first.policy || bytes + item.size > batchBytes)) break;
        first ??= item;
        ids.push(item.id);
        bytes += item.size;
        if (!joins) {
          this.queue.shift();
          break;
        }
      }
      this.queue.shift();
    }
    return ids.length > 0 ? { ids, key: this.options.newKey(), abort: new AbortController() } : undefined;
  }

  private async run(job: Job): Promise<void> {
    const items = job.ids.flatMap((id) => this.board.item(id) ?? []);
    const companions = items.map((item) => ({ item, course: this.course(item, job.abort.signal) }));
    const together = items.length > 1;
    for (const { id } of items) this.board.patch(id, { state: 'sending', hashed: 0, together, problem: undefined });
    const [only] = companions;
    try {
      if (together) {
        const verdicts = await this.options.carrier.sendTogether(companions, job.key, job.abort.signal);
        if (!job.abort.signal.aborted) items.forEach((item, n) => this.judge(item, verdicts[n] ?? 'alone'));
      } else if (only) {
        const outcome = await this.options.carrier.send(only.item, only.course);
        if (!job.abort.signal.aborted) this.stored(only.item, outcome === 'instant' ? 'instant' : 'done');
      }
    } catch (error) {
      if (!job.abort.signal.aborted) this.fail(job, items, toProblem(error));
    } finally {
      this.leave(job);
      this.pump();
    }
  }

  /** Makes room at once: a job that was stopped may take a moment to end, and its files may be taken up again. */
  private leave(job: Job): void {
    this.running.delete(job);
    for (const id of job.ids) if (this.jobs.get(id) === job) this.jobs.delete(id);
  }

  private course({ id, size }: UploadItem, signal: AbortSignal): Course {
    let last = 0;
    const unlessAborted =
      <T>(tell: (value: T) => void) =>
      (value: T) => {
        if (!signal.aborted) tell(value);
      };
    return {
      signal,
      hashed: unlessAborted((hashed) => this.board.patch(id, { hashed, state: 'preparing' })),
      resumed: unlessAborted((bytes) => {
        last = bytes;
        this.board.patch(id, { sent: bytes, state: 'sending' });
      }),
      sent: unlessAborted((bytes) => {
        // What a broken request takes back was carried all the same.
        if (bytes > last) this.board.carry(bytes - last);
        last = bytes;
        this.board.patch(id, { sent: bytes, state: bytes >= size ? 'finishing' : 'sending', problem: undefined });
      }),
      retrying: unlessAborted((problem) => this.board.patch(id, { state: 'retrying', problem })),
    };
  }

  private judge(item: UploadItem, verdict: Verdict): void {
    if (verdict === 'stored') this.stored(item, 'done');
    else if (verdict === 'alone') this.sendAlone(item.id);
    else this.refused(item, verdict);
  }

  private stored(item: UploadItem, state: 'done' | 'instant'): void {
    this.board.patch(item.id, { state, sent: item.size, together: false, problem: undefined });
    this.options.onStored(item);
    this.options.onOver(item);
  }

  private fail(job: Job, items: readonly UploadItem[], problem: Problem): void {
    if (problem.status === 401) {
      this.putBack(job);
      if (this.signedOut) return;
      this.signedOut = true;
      this.halted();
      this.options.onSignedOut();
    } else if (items.length > 1) {
      for (const item of items) this.sendAlone(item.id);
    } else {
      for (const item of items) this.refused(item, problem);
    }
  }

  private refused(item: UploadItem, problem: Problem): void {
    if (item.policy === 'fail' && (problem.code === 'name_taken' || problem.code === 'exists')) {
      this.board.patch(item.id, { state: 'skipped', together: false });
      this.options.onOver(item);
    } else {
      this.board.patch(item.id, { state: 'failed', together: false, problem });
    }
  }

  private sendAlone(id: number): void {
    this.alone.add(id);
    this.requeue(id);
  }

  /** Stops a job and lets its files wait, first in the queue. */
  private putBack(job: Job): void {
    job.abort.abort();
    this.leave(job);
    const ids = job.ids.filter((id) => isActive(this.board.item(id)?.state ?? 'cancelled'));
    if (ids.length > 1 && ids.length === job.ids.length) {
      for (const id of ids) this.board.patch(id, { state: 'waiting', sent: 0, problem: undefined });
      this.batches.push(job);
    } else {
      for (const id of ids) this.requeue(id);
    }
  }
}

/** 128 random bits. (crypto.randomUUID is missing on plain http, where a home server often lives.) */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

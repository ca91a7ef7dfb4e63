import { Problem, toProblem } from '../api/problem';
import { isActive, type ConflictPolicy, type UploadItem, type UploadState } from './item';
import { RateMeter } from './rate';
import { maxTries, mayRetry, retryDelay } from './retry';
import { takeSnapshot, type UploadsSnapshot } from './snapshot';

/** Sends one file and resolves once the server has stored it. Rejects with a Problem, or anything once aborted. */
export type Send = (item: UploadItem, on: { signal: AbortSignal; progress: (sent: number) => void }) => Promise<void>;

export interface EngineOptions {
  send: Send;
  /** How many files are under way at once. */
  parallel?: number;
  /** Called when a file was stored. */
  onStored?: (item: UploadItem) => void;
  /** Called when the server says that nobody is signed in; the engine is paused then. */
  onSignedOut?: () => void;
  /** Resolves after ms, or as soon as the signal aborts. */
  wait?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Runs a function a little later: many changes make one notification. */
  defer?: (run: () => void) => void;
  now?: () => number;
  random?: () => number;
  newKey?: () => string;
}

export interface NewUpload {
  path: string;
  file: File;
}

/**
 * The queue of uploads: it sends a few files at a time, tries again what may succeed later, and tells its
 * subscribers how it goes. A file keeps its place among the few while it waits for another try, so that a
 * server in trouble gets less to do and not more.
 */
export class UploadEngine {
  private readonly options: Required<EngineOptions>;
  private readonly listeners = new Set<() => void>();
  private readonly aborts = new Map<number, AbortController>();
  private readonly meter = new RateMeter();
  private readonly index = new Map<number, number>();
  private items: UploadItem[] = [];
  private queue: number[] = [];
  private nextID = 1;
  private paused = false;
  private notifying = false;
  /** Bytes sent since the page was opened; a try that failed counts, as the line carried it. */
  private carried = 0;
  private current: UploadsSnapshot = takeSnapshot([], false, 0);

  constructor(options: EngineOptions) {
    this.options = {
      parallel: 4,
      onStored: () => undefined,
      onSignedOut: () => undefined,
      wait: waitFor,
      defer: (run) => setTimeout(run, 100),
      now: () => performance.now(),
      random: Math.random,
      newKey,
      ...options,
    };
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): UploadsSnapshot => this.current;

  add(files: readonly NewUpload[], owner: string, policy: ConflictPolicy): void {
    for (const { path, file } of files) {
      const id = this.nextID++;
      this.index.set(id, this.items.length);
      this.items.push({
        id,
        owner,
        path,
        file,
        policy,
        idempotencyKey: this.options.newKey(),
        state: 'waiting',
        sent: 0,
      });
      this.queue.push(id);
    }
    this.pump();
    this.changed();
  }

  cancel(id: number): void {
    const item = this.item(id);
    if (!item || !isActive(item.state)) return;
    this.patch(id, { state: 'cancelled' });
    this.aborts.get(id)?.abort();
  }

  cancelAll(): void {
    for (const item of [...this.items]) this.cancel(item.id);
  }

  /** Starts a failed file again, or every failed one. */
  retry(id?: number): void {
    for (const item of [...this.items]) {
      if (item.state === 'failed' && (id === undefined || item.id === id)) this.requeue(item.id);
    }
    this.pump();
  }

  /** Forgets all that is over. */
  clearFinished(): void {
    this.items = this.items.filter((item) => isActive(item.state));
    this.index.clear();
    this.items.forEach((item, at) => this.index.set(item.id, at));
    this.changed();
  }

  /** Goes on after a pause for the account that is signed in now; files of another one are cancelled. */
  resume(owner: string): void {
    for (const item of [...this.items]) if (item.owner !== owner) this.cancel(item.id);
    if (!this.paused) return;
    this.paused = false;
    this.pump();
    this.changed();
  }

  private pump(): void {
    while (!this.paused && this.aborts.size < this.options.parallel) {
      const id = this.queue.shift();
      if (id === undefined) return;
      const item = this.item(id);
      if (item?.state === 'waiting') void this.run(item);
    }
  }

  private async run(item: UploadItem): Promise<void> {
    const abort = new AbortController();
    this.aborts.set(item.id, abort);
    try {
      await this.tryUntilSettled(item, abort.signal);
    } finally {
      this.aborts.delete(item.id);
      this.pump();
    }
  }

  private async tryUntilSettled(item: UploadItem, signal: AbortSignal): Promise<void> {
    const cancelled = () => signal.aborted;
    for (let tries = 1; !cancelled(); tries++) {
      this.patch(item.id, { state: 'sending', sent: 0, problem: undefined });
      const problem = await this.tryOnce(item, signal);
      if (cancelled()) return;
      if (!problem) {
        this.patch(item.id, { state: 'done', sent: item.file.size });
        this.options.onStored(item);
        return;
      }
      if (problem.status === 401) {
        this.pause(item.id);
        return;
      }
      if (!mayRetry(problem) || tries >= maxTries) {
        const skipped = item.policy === 'fail' && (problem.code === 'name_taken' || problem.code === 'exists');
        this.patch(item.id, skipped ? { state: 'skipped' } : { state: 'failed', problem });
        return;
      }
      this.patch(item.id, { state: 'retrying', sent: 0, problem });
      await this.options.wait(retryDelay(tries, problem.retryAfter, this.options.random), signal);
    }
  }

  private async tryOnce(item: UploadItem, signal: AbortSignal): Promise<Problem | undefined> {
    let last = 0;
    const progress = (sent: number) => {
      if (signal.aborted) return;
      this.carried += sent - last;
      last = sent;
      this.meter.sample(this.options.now(), this.carried);
      this.patch(item.id, { sent, state: sent >= item.file.size ? 'finishing' : 'sending' });
    };
    try {
      await this.options.send(item, { signal, progress });
      return undefined;
    } catch (error) {
      return toProblem(error);
    }
  }

  private pause(id: number): void {
    this.requeue(id);
    if (this.paused) return;
    this.paused = true;
    this.options.onSignedOut();
  }

  private requeue(id: number): void {
    this.patch(id, { state: 'waiting', sent: 0, problem: undefined });
    this.queue.unshift(id);
  }

  private item(id: number): UploadItem | undefined {
    const at = this.index.get(id);
    return at === undefined ? undefined : this.items[at];
  }

  private patch(id: number, change: { state: UploadState; sent?: number; problem?: Problem | undefined }): void {
    const at = this.index.get(id);
    const old = at === undefined ? undefined : this.items[at];
    if (at === undefined || !old) return;
    const { problem: oldProblem, ...rest } = old;
    const problem = 'problem' in change ? change.problem : oldProblem;
    this.items[at] = { ...rest, state: change.state, sent: change.sent ?? old.sent, ...(problem ? { problem } : {}) };
    this.changed();
  }

  private changed(): void {
    if (this.notifying) return;
    this.notifying = true;
    this.options.defer(() => {
      this.notifying = false;
      this.current = takeSnapshot([...this.items], this.paused, this.meter.rate());
      if (this.current.active === 0) this.meter.reset();
      for (const listener of this.listeners) listener();
    });
  }
}

function waitFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });
}

/** 128 random bits. (crypto.randomUUID is missing on plain http, where a home server often lives.) */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

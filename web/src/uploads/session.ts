import { Problem, toProblem } from '../api/problem';
import type { Course } from './engine';
import { contentDigest, fromHex, hashBlocks, toHex, type Hasher } from './hasher';
import type { UploadItem } from './item';
import { blocksPerRequest, mostLanes, nextGroup } from './pace';
import { mayRetry, patiently, sessionTries, type Clock } from './retry';
import { isAnnounced } from './route';
import type { Traffic } from './traffic';

/** The size of a block; the last one of a file is shorter. */
export const blockSize = 4 << 20;
/** The server takes no longer list of sums. */
const mostSums = 15_000;
/** How often the server may find blocks missing that it had taken before. */
const mostRounds = 5;

/** How an upload session is found again. */
export interface SessionRef {
  readonly id: string;
  /** Opens this one upload, also when nobody is signed in any more. */
  readonly token: string;
  /** The sums of its blocks are known to the server from the start. */
  readonly announced: boolean;
}

export interface NewSession {
  readonly sums: { readonly blocks: string[]; readonly digest: string } | undefined;
  readonly idempotencyKey: string;
}

/** What the server says of a session. */
export interface Session {
  readonly id: string;
  readonly blockSize: number;
  readonly requestBlocks: number;
  readonly maxRequestBlocks: number;
  /** Ascending; perhaps only the first of them. */
  readonly missing: readonly number[];
  readonly missingCount: number;
  readonly token?: string;
  readonly challenge?: { readonly nonce: string; readonly blocks: readonly number[] };
  /** There is a file: nothing is left to do. */
  readonly node?: unknown;
}

/** The requests of an upload session. All reject with a Problem. */
export interface SessionTransport {
  create: (item: UploadItem, session: NewSession, signal: AbortSignal) => Promise<Session>;
  get: (ref: SessionRef, signal: AbortSignal) => Promise<Session>;
  putBlocks: (
    ref: SessionRef,
    n: number,
    body: Blob,
    digest: string | undefined,
    on: { signal: AbortSignal; progress: (bytes: number) => void },
  ) => Promise<void>;
  prove: (ref: SessionRef, answers: string[], signal: AbortSignal) => Promise<Session>;
  complete: (ref: SessionRef, signal: AbortSignal) => Promise<void>;
  drop: (ref: SessionRef) => Promise<void>;
}

/** Remembers the session of each upload, by its idempotency key, beyond the life of the page. */
export interface SessionBook {
  get: (key: string) => SessionRef | undefined;
  set: (key: string, ref: SessionRef | undefined) => void;
}

export interface SessionTools {
  transport: SessionTransport;
  /** Undefined where the browser cannot hash: nothing is announced then, and the server checks sizes alone. */
  hasher: Hasher | undefined;
  traffic: Traffic;
  book: SessionBook;
  clock: Clock;
}

/**
 * Uploads a file in blocks: only those that the server lacks, in any order, several at once. A session that is
 * gone, or a file that changed meanwhile, makes it start over, once.
 */
export async function sendSession(
  item: UploadItem & { file: File },
  course: Course,
  tools: SessionTools,
): Promise<'stored' | 'instant'> {
  try {
    return await new SessionUpload(item, item.idempotencyKey, course, tools).run();
  } catch (error) {
    const problem = toProblem(error);
    const ref = tools.book.get(item.idempotencyKey);
    if (course.signal.aborted || !startsOver(problem, ref)) throw problem;
    tools.book.set(item.idempotencyKey, undefined);
    if (problem.status === 404) return new SessionUpload(item, item.idempotencyKey, course, tools).run();
    // The old session stands for bytes that are no more; a new key makes sure that it is not found again.
    if (ref) tools.transport.drop(ref).catch(() => undefined);
    return new SessionUpload(item, `${item.idempotencyKey}-again`, course, tools).run();
  }
}

function startsOver(problem: Problem, ref: SessionRef | undefined): boolean {
  if (problem.status === 404) return ref !== undefined;
  return ['block_differs', 'block_mismatch', 'digest_mismatch'].includes(problem.code);
}

/** One try of a session, from where it is to its end. */
class SessionUpload {
  private readonly item: UploadItem & { file: File };
  private readonly createKey: string;
  private readonly course: Course;
  private readonly tools: SessionTools;
  private readonly onLine = new Map<number, number>();
  private todo: number[] = [];
  private arrived = 0;

  constructor(item: UploadItem & { file: File }, createKey: string, course: Course, tools: SessionTools) {
    this.item = item;
    this.createKey = createKey;
    this.course = course;
    this.tools = tools;
  }

  async run(): Promise<'stored' | 'instant'> {
    const known = this.tools.book.get(this.item.idempotencyKey);
    let session = known ? await this.again((signal) => this.tools.transport.get(known, signal)) : await this.create();
    // A session that was there before and has its node was completed by an earlier try.
    if (session.node) return known ? 'stored' : 'instant';
    if (session.challenge && (await this.prove(session, session.challenge))) return 'instant';
    for (let round = 1; ; round++) {
      session = await this.sendMissing(session);
      const problem = await this.complete();
      if (!problem) return 'stored';
      if (round >= mostRounds) throw problem;
      session = await this.look();
      if (session.node) return 'stored';
    }
  }

  private get ref(): SessionRef {
    const ref = this.tools.book.get(this.item.idempotencyKey);
    if (!ref) throw new Problem({ status: 404, code: 'not_found' });
    return ref;
  }

  private async create(): Promise<Session> {
    const { item, tools, course } = this;
    const { hasher } = tools;
    let sums: NewSession['sums'];
    if (hasher && isAnnounced(item.size, item.policy === 'replace') && item.size <= mostSums * blockSize) {
      course.hashed(0);
      sums = await hashBlocks(hasher, item.file, blockSize, { signal: course.signal, progress: course.hashed });
    }
    const session = await this.again((signal) =>
      tools.transport.create(item, { sums, idempotencyKey: this.createKey }, signal),
    );
    if (!session.node) {
      const ref = { id: session.id, token: session.token ?? '', announced: sums !== undefined };
      tools.book.set(item.idempotencyKey, ref);
    }
    return session;
  }

  private look(): Promise<Session> {
    return this.again((signal) => this.tools.transport.get(this.ref, signal));
  }

  /** Shows that we have the bytes. Without success they are sent as if nobody had asked. */
  private async prove(session: Session, challenge: NonNullable<Session['challenge']>): Promise<boolean> {
    const { hasher, transport } = this.tools;
    if (!hasher) return false;
    const key = fromHex(challenge.nonce);
    const answers: string[] = [];
    for (const n of challenge.blocks) {
      this.course.signal.throwIfAborted();
      answers.push(toHex(await hasher.hmac(key, this.slice(session, n, 1))));
    }
    try {
      return Boolean((await transport.prove(this.ref, answers, this.course.signal)).node);
    } catch (error) {
      if (toProblem(error).status === 401 || this.course.signal.aborted) throw error;
      return false;
    }
  }

  private async sendMissing(session: Session): Promise<Session> {
    for (;;) {
      this.arrived = this.item.size - missingBytes(session, this.item.size);
      this.course.resumed(this.arrived);
      this.todo = [...session.missing];
      await this.sendAll(session);
      if (session.missingCount <= session.missing.length) return session;
      session = await this.look();
    }
  }

  /** Several workers, of which as many send as the traffic lets; the first that fails for good stops the others. */
  private async sendAll(session: Session): Promise<void> {
    const stop = new AbortController();
    const forward = () => stop.abort();
    this.course.signal.addEventListener('abort', forward);
    const worker = async () => {
      while (this.todo.length > 0 && !stop.signal.aborted) {
        await patiently(() => this.sendGroup(session, stop.signal), {
          signal: stop.signal,
          clock: this.tools.clock,
          tries: sessionTries,
          onWait: this.course.retrying,
        });
      }
    };
    const workers = Array.from({ length: Math.min(mostLanes, this.todo.length) }, () =>
      worker().catch((error: unknown) => {
        stop.abort();
        throw error;
      }),
    );
    try {
      await Promise.all(workers);
      this.course.signal.throwIfAborted();
    } finally {
      this.course.signal.removeEventListener('abort', forward);
      await Promise.allSettled(workers);
    }
  }

  private async sendGroup(session: Session, signal: AbortSignal): Promise<void> {
    const { traffic } = this.tools;
    const send = async () => {
      const blocks = blocksPerRequest(traffic.pace, session.requestBlocks, session.maxRequestBlocks);
      const group = nextGroup(this.todo, session.requestBlocks, blocks);
      const [first] = group;
      if (first === undefined) return 0;
      this.todo = this.todo.slice(group.length);
      try {
        return await this.putGroup(session, first, group.length, signal);
      } catch (error) {
        this.todo = [...group, ...this.todo].sort((a, b) => a - b);
        throw error;
      } finally {
        this.onLine.delete(first);
        this.told();
      }
    };
    await traffic.learn(signal, send, (error) => mayRetry(toProblem(error)));
  }

  private async putGroup(session: Session, first: number, count: number, signal: AbortSignal): Promise<number> {
    const { transport, hasher } = this.tools;
    const body = this.slice(session, first, count);
    // What was announced is checked against that; a second sum would be work for nothing.
    const digest = hasher && !this.ref.announced ? contentDigest(await hasher.sum(body)) : undefined;
    await transport.putBlocks(this.ref, first, body, digest, {
      signal,
      progress: (bytes) => {
        this.onLine.set(first, Math.min(bytes, body.size));
        this.told();
      },
    });
    this.onLine.delete(first);
    this.arrived += body.size;
    return body.size;
  }

  private told(): void {
    let bytes = this.arrived;
    for (const sent of this.onLine.values()) bytes += sent;
    this.course.sent(bytes);
  }

  /** Undefined when there is a file now, the problem when blocks are missing after all. */
  private async complete(): Promise<Problem | undefined> {
    this.course.sent(this.item.size);
    try {
      await this.again((signal) => this.tools.transport.complete(this.ref, signal));
      return undefined;
    } catch (error) {
      if (error instanceof Problem && error.code === 'blocks_missing') return error;
      throw error;
    }
  }

  private again<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal, retrying } = this.course;
    return patiently(() => work(signal), { signal, clock: this.tools.clock, tries: sessionTries, onWait: retrying });
  }

  private slice(session: Session, first: number, count: number): Blob {
    return this.item.file.slice(first * session.blockSize, (first + count) * session.blockSize);
  }
}

/** The bytes of all missing blocks, of which the list may name the first only. */
export function missingBytes(session: Session, size: number): number {
  const last = Math.ceil(size / session.blockSize) - 1;
  const lacksLast = session.missingCount > session.missing.length || session.missing.at(-1) === last;
  const short = lacksLast && last >= 0 ? (last + 1) * session.blockSize - size : 0;
  return session.missingCount * session.blockSize - short;
}

import { createHash, createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { networkProblem, Problem } from '../api/problem';
import type { Course } from './engine';
import type { Hasher } from './hasher';
import type { UploadItem } from './item';
import { mostLanes } from './pace';
import { sessionTries, type Clock } from './retry';
import {
  blockSize,
  missingBytes,
  sendSession,
  type NewSession,
  type Session,
  type SessionRef,
  type SessionTransport,
} from './session';
import { Traffic } from './traffic';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
const bytesOf = async (blob: Blob) => new Uint8Array(await blob.arrayBuffer());

const hasher: Hasher = {
  parallel: 2,
  sum: async (blob) => new Uint8Array(sha256(await bytesOf(blob))),
  hmac: async (key, blob) =>
    new Uint8Array(
      createHmac('sha256', key)
        .update(await bytesOf(blob))
        .digest(),
    ),
};

interface Held {
  size: number;
  blocks: Map<number, string>;
  announced: string[] | undefined;
  node?: boolean;
}

/** A server's side of sessions, in memory, with what a test wants to go wrong. */
class FakeServer implements SessionTransport {
  readonly log: string[] = [];
  readonly sessions = new Map<string, Held>();
  readonly keys = new Map<string, string>();
  readonly digests: (string | undefined)[] = [];
  /** Called before each request is served; what it throws is the answer. */
  fault: (request: string) => void = () => undefined;
  requestBlocks = 1;
  maxRequestBlocks = 16;
  mostMissing = 10_000;
  challenge: { nonce: string; blocks: number[] } | undefined;
  atOnce = 0;
  mostAtOnce = 0;

  create = async (item: UploadItem, { sums, idempotencyKey }: NewSession): Promise<Session> => {
    this.enter(`create ${idempotencyKey}${sums ? ` ${sums.blocks.length} sums` : ''}`);
    const known = this.keys.get(idempotencyKey);
    const id = known ?? `s${this.sessions.size + 1}`;
    if (!known) {
      this.sessions.set(id, { size: item.size, blocks: new Map(), announced: sums?.blocks });
      this.keys.set(idempotencyKey, id);
    }
    return Promise.resolve({
      ...this.describe(id),
      token: `token ${id}`,
      ...(this.challenge && { challenge: this.challenge }),
    });
  };

  get = async ({ id }: SessionRef): Promise<Session> => {
    this.enter(`get ${id}`);
    return Promise.resolve(this.describe(id));
  };

  putBlocks: SessionTransport['putBlocks'] = async ({ id }, n, body, digest, { progress }) => {
    this.atOnce++;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    try {
      const bytes = await bytesOf(body);
      const count = Math.ceil(bytes.length / blockSize);
      progress(Math.floor(bytes.length / 2));
      this.enter(count === 1 ? `put ${n}` : `put ${n}-${n + count - 1}`);
      const held = this.held(id);
      this.digests.push(digest);
      for (let at = 0; at < count; at++) {
        const sum = sha256(bytes.subarray(at * blockSize, (at + 1) * blockSize)).toString('hex');
        if (held.announced && held.announced[n + at] !== sum)
          throw new Problem({ status: 400, code: 'block_mismatch' });
        if ((held.blocks.get(n + at) ?? sum) !== sum) throw new Problem({ status: 409, code: 'block_differs' });
        held.blocks.set(n + at, sum);
      }
      progress(bytes.length);
    } finally {
      this.atOnce--;
    }
  };

  prove = async ({ id }: SessionRef, answers: string[]): Promise<Session> => {
    this.enter(`prove ${answers.join()}`);
    this.held(id).node = true;
    return Promise.resolve(this.describe(id));
  };

  complete = async ({ id }: SessionRef): Promise<void> => {
    this.enter(`complete ${id}`);
    const held = this.held(id);
    if (held.blocks.size < Math.ceil(held.size / blockSize)) throw new Problem({ status: 409, code: 'blocks_missing' });
    held.node = true;
    return Promise.resolve();
  };

  drop = async ({ id }: SessionRef): Promise<void> => {
    this.log.push(`drop ${id}`);
    this.sessions.delete(id);
    return Promise.resolve();
  };

  private enter(request: string): void {
    this.log.push(request);
    this.fault(request);
  }

  private held(id: string): Held {
    const held = this.sessions.get(id);
    if (!held) throw new Problem({ status: 404, code: 'not_found' });
    return held;
  }

  private describe(id: string): Session {
    const { size, blocks, node } = this.held(id);
    const all = Array.from({ length: Math.ceil(size / blockSize) }, (_, n) => n);
    const missing = node ? [] : all.filter((n) => !blocks.has(n));
    return {
      id,
      blockSize,
      requestBlocks: this.requestBlocks,
      maxRequestBlocks: this.maxRequestBlocks,
      missing: missing.slice(0, this.mostMissing),
      missingCount: missing.length,
      ...(node && { node: {} }),
    };
  }
}

/** A file of so many blocks and a bit, each block of its own letter. */
function fileOf(blocks: number, name = 'big'): File {
  const bytes = new Uint8Array(blocks * blockSize + 10);
  for (let n = 0; n <= blocks; n++) bytes.fill(65 + n, n * blockSize, (n + 1) * blockSize);
  return new File([bytes], name);
}

function setUp({ blocks = 3, hashes = true } = {}) {
  const server = new FakeServer();
  const refs = new Map<string, SessionRef>();
  const abort = new AbortController();
  const seen = { hashed: 0, resumed: [] as number[], sent: [] as number[], retrying: [] as string[] };
  const waits: number[] = [];
  const clock: Clock = {
    wait: (ms) => {
      waits.push(ms);
      return Promise.resolve();
    },
    random: () => 1,
    now: () => 0,
  };
  const file = fileOf(blocks);
  const item: UploadItem & { file: File } = {
    id: 1,
    owner: 'ann',
    path: '/big',
    size: file.size,
    file,
    handle: undefined,
    policy: 'rename',
    idempotencyKey: 'key',
    state: 'sending',
    sent: 0,
    hashed: 0,
    together: false,
  };
  const course: Course = {
    signal: abort.signal,
    hashed: (bytes) => (seen.hashed = bytes),
    resumed: (bytes) => seen.resumed.push(bytes),
    sent: (bytes) => seen.sent.push(bytes),
    retrying: (problem) => seen.retrying.push(problem.code),
  };
  const book = {
    get: (key: string) => refs.get(key),
    set: (key: string, ref: SessionRef | undefined) => (ref ? refs.set(key, ref) : refs.delete(key)),
  };
  const tools = { transport: server, hasher: hashes ? hasher : undefined, traffic: new Traffic(() => 0), book, clock };
  const run = (changed?: File) => sendSession(changed ? { ...item, file: changed } : item, course, tools);
  const puts = () => server.log.filter((line) => line.startsWith('put')).sort();
  return { server, refs, abort, seen, waits, item, file, run, puts };
}

describe('a session', () => {
  it('hashes, announces, sends every block once, and completes', async () => {
    const { server, seen, file, run, puts } = setUp();
    expect(await run()).toBe('stored');
    expect(server.log[0]).toBe('create key 4 sums');
    expect(puts()).toEqual(['put 0', 'put 1', 'put 2', 'put 3']);
    expect(server.log.at(-1)).toBe('complete s1');
    expect(seen.hashed).toBe(file.size);
    expect(seen.sent.at(-1)).toBe(file.size);
    // What was announced is checked against that.
    expect(server.digests).toEqual([undefined, undefined, undefined, undefined]);
    expect(server.mostAtOnce).toBe(4);
  });

  it('announces nothing and sends no sums where the browser cannot hash', async () => {
    const { server, run } = setUp({ hashes: false });
    expect(await run()).toBe('stored');
    expect(server.log[0]).toBe('create key');
    expect(server.digests).toEqual([undefined, undefined, undefined, undefined]);
  });

  it('sends only what is missing, and counts the rest as resumed', async () => {
    const { server, refs, seen, file, run, puts } = setUp();
    server.sessions.set('old', {
      size: file.size,
      blocks: new Map([
        [0, sha256Of('A')],
        [2, sha256Of('C')],
      ]),
      announced: undefined,
    });
    refs.set('key', { id: 'old', token: 't', announced: false });
    expect(await run()).toBe('stored');
    expect(server.log[0]).toBe('get old');
    expect(puts()).toEqual(['put 1', 'put 3']);
    expect(seen.resumed).toEqual([2 * blockSize]);
    expect(seen.hashed).toBe(0);
    // Blocks that were not announced carry a sum of their own.
    expect(server.digests.every((digest) => /^sha-256=:[\w+/=]{44}:$/.test(digest ?? ''))).toBe(true);
  });

  it('sends whole groups as the store wishes', async () => {
    const { server, run, puts } = setUp({ blocks: 5 });
    server.requestBlocks = 2;
    await run();
    expect(puts()).toEqual(['put 0-1', 'put 2-3', 'put 4-5']);
  });

  it('asks again what is missing when the list names the first only', async () => {
    const { server, run } = setUp({ blocks: 5 });
    server.mostMissing = 4;
    await run();
    expect(server.sessions.get('s1')?.blocks.size).toBe(6);
    expect(server.log.filter((line) => line === 'get s1')).toHaveLength(1);
  });

  it('finds the file of an earlier try whose answer was lost', async () => {
    const { server, refs, run } = setUp();
    server.sessions.set('old', { size: 1, blocks: new Map(), announced: undefined, node: true });
    refs.set('key', { id: 'old', token: 't', announced: true });
    expect(await run()).toBe('stored');
    expect(server.log).toEqual(['get old']);
  });
});

describe('instant upload', () => {
  it('answers the challenge with the right sums and sends nothing', async () => {
    const { server, file, run } = setUp();
    const nonce = '00ff'.repeat(16);
    server.challenge = { nonce, blocks: [3, 0] };
    expect(await run()).toBe('instant');
    const answers = await Promise.all(
      [3, 0].map(async (n) =>
        createHmac('sha256', Buffer.from(nonce, 'hex'))
          .update(await bytesOf(file.slice(n * blockSize, (n + 1) * blockSize)))
          .digest('hex'),
      ),
    );
    expect(server.log).toEqual(['create key 4 sums', `prove ${answers.join()}`]);
  });

  it.each([403, 429])('sends the blocks when the proof is answered with %i', async (status) => {
    const { server, run, puts } = setUp();
    server.challenge = { nonce: '00'.repeat(32), blocks: [0] };
    server.fault = (request) => {
      if (request.startsWith('prove')) throw new Problem({ status, code: 'proof_failed' });
    };
    expect(await run()).toBe('stored');
    expect(puts()).toHaveLength(4);
  });
});

describe('trouble', () => {
  /** Fails the first so many of the requests that begin with a word. */
  const failing = (word: string, times: number, problem: Problem) => {
    let left = times;
    return (request: string) => {
      if (request.startsWith(word) && left-- > 0) throw problem;
    };
  };

  it.each([
    ['create', networkProblem()],
    ['put 2', networkProblem()],
    ['put', new Problem({ status: 503, code: 'busy' })],
    ['complete', new Problem({ status: 502, code: 'busy' })],
  ])('tries %s again and completes', async (word, problem) => {
    const { server, seen, waits, file, run } = setUp();
    server.fault = failing(word, 3, problem);
    expect(await run()).toBe('stored');
    expect(seen.retrying).toHaveLength(3);
    expect(waits).toHaveLength(3);
    expect(seen.sent.at(-1)).toBe(file.size);
    expect(new Set(server.log.filter((line) => line.startsWith('create'))).size).toBe(1);
  });

  it('waits as long as the server asks', async () => {
    const { server, waits, run } = setUp();
    server.fault = failing('put 0', 1, new Problem({ status: 429, code: 'too_many', retryAfter: 7000 }));
    await run();
    expect(waits).toEqual([7500]);
  });

  it('takes back what was on the line of a request that broke', async () => {
    const { server, seen, run } = setUp({ blocks: 1 });
    server.fault = failing('put 0', 1, networkProblem());
    await run();
    const drops = seen.sent.filter((bytes, n) => bytes < (seen.sent[n - 1] ?? 0));
    expect(drops.length).toBeGreaterThan(0);
    expect(Math.max(...seen.sent)).toBeLessThanOrEqual(blockSize + 10);
  });

  it('gives up after many tries without any success', async () => {
    const { server, waits, run } = setUp({ blocks: 0 });
    server.fault = failing('put', Infinity, networkProblem());
    await expect(run()).rejects.toMatchObject({ code: 'network' });
    expect(waits).toHaveLength(sessionTries - 1);
  });

  it('does not repeat what the server refuses, and stops the other requests', async () => {
    const { server, run, puts } = setUp({ blocks: 12 });
    server.fault = failing('put', Infinity, new Problem({ status: 507, code: 'over_quota' }));
    await expect(run()).rejects.toMatchObject({ code: 'over_quota' });
    expect(puts().length).toBeLessThanOrEqual(mostLanes);
  });

  it('starts over when the session is gone, with the key that finds a finished file', async () => {
    const { server, refs, run, puts } = setUp();
    refs.set('key', { id: 'gone', token: 't', announced: true });
    expect(await run()).toBe('stored');
    expect(server.log.slice(0, 2)).toEqual(['get gone', 'create key 4 sums']);
    expect(puts()).toHaveLength(4);
  });

  it('starts over once, no more', async () => {
    const { server, run } = setUp();
    server.fault = failing('put', Infinity, new Problem({ status: 404, code: 'not_found' }));
    await expect(run()).rejects.toMatchObject({ status: 404 });
    expect(server.log.filter((line) => line.startsWith('create'))).toHaveLength(2);
  });

  it('starts a new session when the file is another one by now, and drops the old', async () => {
    const { server, refs, file, run } = setUp();
    server.sessions.set('old', {
      size: file.size,
      blocks: new Map([[0, sha256Of('A')]]),
      announced: Array(4).fill(sha256Of('x')),
    });
    refs.set('key', { id: 'old', token: 't', announced: true });
    expect(await run()).toBe('stored');
    expect(server.log).toContain('drop old');
    expect(server.log).toContain('create key-again 4 sums');
  });

  it('sends what the server finds missing at the end', async () => {
    const { server, run, puts } = setUp();
    let lost = false;
    server.fault = (request) => {
      if (!request.startsWith('complete') || lost) return;
      lost = true;
      server.sessions.get('s1')?.blocks.delete(1);
    };
    expect(await run()).toBe('stored');
    expect(puts()).toEqual(['put 0', 'put 1', 'put 1', 'put 2', 'put 3']);
  });

  it('passes the end of the sign-in on', async () => {
    const { server, run } = setUp();
    server.fault = failing('create', 1, new Problem({ status: 401, code: 'unauthenticated' }));
    await expect(run()).rejects.toMatchObject({ status: 401 });
    expect(server.log).toHaveLength(1);
  });
});

describe('stopping', () => {
  it('sends nothing more, and goes on later with what is missing', async () => {
    const { server, abort, refs, run, puts } = setUp({ blocks: 12 });
    let answered = 0;
    server.fault = (request) => {
      if (request.startsWith('put') && ++answered === 3) abort.abort();
    };
    await expect(run()).rejects.toBeDefined();
    const before = puts().length;
    expect(before).toBeLessThan(13);
    expect(server.log).not.toContain('complete s1');
    expect(refs.get('key')?.id).toBe('s1');
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(puts()).toHaveLength(before);
  });

  it('ends while hashing without a session', async () => {
    const { server, abort, run } = setUp();
    abort.abort();
    await expect(run()).rejects.toBeDefined();
    expect(server.log).toEqual([]);
  });
});

it('counts missing bytes, the short last block among them', () => {
  const session = { id: '', blockSize: 10, requestBlocks: 1, maxRequestBlocks: 1 };
  expect(missingBytes({ ...session, missing: [0, 2], missingCount: 2 }, 25)).toBe(15);
  expect(missingBytes({ ...session, missing: [0, 1], missingCount: 2 }, 25)).toBe(20);
  expect(missingBytes({ ...session, missing: [0], missingCount: 3 }, 25)).toBe(25);
  expect(missingBytes({ ...session, missing: [], missingCount: 0 }, 25)).toBe(0);
  expect(missingBytes({ ...session, missing: [1], missingCount: 1 }, 20)).toBe(10);
});

function sha256Of(letter: string): string {
  return sha256(new Uint8Array(blockSize).fill(letter.charCodeAt(0))).toString('hex');
}

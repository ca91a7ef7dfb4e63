import { describe, expect, it } from 'vitest';
import { networkProblem, Problem } from '../api/problem';
import { UploadEngine, type Carrier, type Companion, type Course, type EngineOptions, type Verdict } from './engine';
import type { UploadItem } from './item';

/** A file in flight whose end the test decides. */
interface Flight {
  item: UploadItem;
  course: Course;
  land: (outcome?: 'stored' | 'instant') => void;
  crash: (error: unknown) => void;
}

interface BatchFlight {
  batch: readonly Companion[];
  key: string;
  signal: AbortSignal;
  land: (...verdicts: Verdict[]) => void;
  crash: (error: unknown) => void;
}

const mib = 1 << 20;

/** An engine whose carrier and notifications the test drives by hand. */
function setUp(options: Partial<EngineOptions> = {}) {
  const flights: Flight[] = [];
  const batches: BatchFlight[] = [];
  const stored: string[] = [];
  const over: string[] = [];
  let keys = 0;
  const carrier: Carrier = {
    send: (item, course) =>
      new Promise((resolve, reject) => {
        flights.push({ item, course, land: (outcome = 'stored') => resolve(outcome), crash: reject });
        course.signal.addEventListener('abort', () => reject(new Error('aborted')));
      }),
    sendTogether: (batch, key, signal) =>
      new Promise((resolve, reject) => {
        batches.push({ batch, key, signal, land: (...verdicts) => resolve(verdicts), crash: reject });
        signal.addEventListener('abort', () => reject(new Error('aborted')));
      }),
  };
  const engine = new UploadEngine({
    carrier,
    parallel: 2,
    onStored: (item) => stored.push(item.path),
    onOver: (item) => over.push(`${item.path} ${item.state}`),
    defer: (run) => run(),
    newKey: () => `key ${++keys}`,
    ...options,
  });
  const addSized = (size: number, ...names: string[]) =>
    engine.add(
      names.map((name) => ({ path: `/${name}`, file: new File([new Uint8Array(size)], name) })),
      'ann',
      'rename',
    );
  const states = () => engine.snapshot().items.map((item) => item.state);
  const flight = (n: number) => nth(flights, n);
  const batch = (n: number) => nth(batches, n);
  /** Files that travel whole, each by itself. */
  const add = (...names: string[]) => addSized(2 * mib, ...names);
  return { engine, flights, flight, batches, batch, stored, over, add, addSized, states };
}

function nth<T>(all: readonly T[], n: number): T {
  const found = all[n];
  if (!found) throw new Error(`there is no number ${n}`);
  return found;
}

/** Lets every promise that is settled run its course. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('the queue', () => {
  it('keeps no more than the limit under way, and all in the end', async () => {
    const { flights, flight, stored, over, add, states } = setUp();
    add('a', 'b', 'c');
    expect(flights).toHaveLength(2);
    expect(states()).toEqual(['sending', 'sending', 'waiting']);
    flight(1).land();
    await settle();
    expect(flights).toHaveLength(3);
    flight(0).land();
    flight(2).land('instant');
    await settle();
    expect(states()).toEqual(['done', 'done', 'instant']);
    expect(stored.sort()).toEqual(['/a', '/b', '/c']);
    expect(over).toHaveLength(3);
  });

  it('counts bytes and says when only the server is still busy', async () => {
    const { engine, flight, add, states } = setUp();
    add('a', 'b');
    flight(0).course.sent(3);
    expect(engine.snapshot()).toMatchObject({ sent: 3, bytes: 4 * mib, active: 2 });
    flight(0).course.sent(2 * mib);
    expect(states()).toEqual(['finishing', 'sending']);
    flight(0).land();
    await settle();
    expect(engine.snapshot()).toMatchObject({ sent: 2 * mib, bytes: 4 * mib, active: 1, done: 1 });
  });

  it('measures the rate without what the server had before, and tells the time left', () => {
    let now = 0;
    const { engine, flight, add } = setUp({ now: () => now });
    add('a');
    flight(0).course.resumed(mib);
    flight(0).course.sent(mib);
    flight(0).course.sent(mib + 1);
    now = 1000;
    flight(0).course.sent(mib + 1001);
    expect(engine.snapshot().sent).toBe(mib + 1001);
    expect(engine.snapshot().rate).toBe(1000);
    expect(engine.snapshot().left).toBe((mib - 1001) / 1000);
  });

  it('counts bytes that are sent again as carried, so that the rate stays true', () => {
    let now = 0;
    const { engine, flight, add } = setUp({ now: () => now });
    add('a');
    flight(0).course.sent(1000);
    now = 1000;
    flight(0).course.sent(500);
    flight(0).course.sent(1000);
    expect(engine.snapshot().sent).toBe(1000);
    now = 2000;
    flight(0).course.sent(1000);
    now = 3000;
    flight(0).course.sent(2000);
    expect(engine.snapshot().rate).toBe((500 + 1000) / 3);
  });

  it('shows hashing as preparing and counts none of it as sent', () => {
    const { engine, flight, add, states } = setUp();
    add('a');
    flight(0).course.hashed(mib);
    expect(states()).toEqual(['preparing']);
    expect(engine.snapshot()).toMatchObject({ sent: 0, items: [{ hashed: mib }] });
  });

  it('forgets what is over and keeps working with the rest', async () => {
    const { engine, flight, add, states } = setUp();
    add('a', 'b');
    flight(0).land();
    await settle();
    engine.clearFinished();
    expect(states()).toEqual(['sending']);
    flight(1).land();
    await settle();
    expect(states()).toEqual(['done']);
  });
});

describe('failures', () => {
  it('shows them, and starts afresh when asked to', async () => {
    const { engine, flight, flights, over, add, states } = setUp();
    add('a');
    flight(0).crash(networkProblem());
    await settle();
    expect(states()).toEqual(['failed']);
    expect(engine.snapshot().items[0]?.problem?.code).toBe('network');
    // What is not over may go on later.
    expect(over).toEqual([]);
    engine.retry();
    expect(states()).toEqual(['sending']);
    expect(engine.snapshot().items[0]?.problem).toBeUndefined();
    expect(flight(1).item.idempotencyKey).toBe(flight(0).item.idempotencyKey);
    flights.at(-1)?.land();
    await settle();
    expect(states()).toEqual(['done']);
  });

  it('lets a failed file go when it is dismissed', async () => {
    const { engine, flight, over, add } = setUp();
    add('a');
    flight(0).crash(networkProblem());
    await settle();
    engine.clearFinished();
    expect(over).toEqual(['/a failed']);
    expect(engine.snapshot().items).toEqual([]);
  });

  it('shows that a try is waited for', () => {
    const { flight, add, states } = setUp();
    add('a');
    flight(0).course.retrying(networkProblem());
    expect(states()).toEqual(['retrying']);
    flight(0).course.sent(1);
    expect(states()).toEqual(['sending']);
  });

  it('calls a taken name skipped where that was asked for, and a failure elsewhere', async () => {
    const { engine, flight, states } = setUp();
    const file = new File([new Uint8Array(2 * mib)], 'x');
    engine.add([{ path: '/skip', file }], 'ann', 'fail');
    engine.add([{ path: '/keep', file }], 'ann', 'rename');
    const taken = new Problem({ status: 409, code: 'name_taken' });
    flight(0).crash(taken);
    flight(1).crash(taken);
    await settle();
    expect(states()).toEqual(['skipped', 'failed']);
  });
});

describe('cancelling', () => {
  it('aborts what is under way and gives its place to the next', async () => {
    const { engine, flight, flights, over, add, states } = setUp();
    add('a', 'b', 'c');
    engine.cancel(flight(0).item.id);
    expect(flight(0).course.signal.aborted).toBe(true);
    await settle();
    expect(states()).toEqual(['cancelled', 'sending', 'sending']);
    expect(flights).toHaveLength(3);
    expect(over).toEqual(['/a cancelled']);
  });

  it('never starts what waited', async () => {
    const { engine, flight, flights, add, states } = setUp();
    add('a', 'b', 'c');
    engine.cancel(3);
    flight(0).land();
    flight(1).land();
    await settle();
    expect(states()).toEqual(['done', 'done', 'cancelled']);
    expect(flights).toHaveLength(2);
  });

  it('hears nothing any more of what it stopped', async () => {
    const { engine, flight, flights, add, states } = setUp();
    add('a', 'b', 'c');
    engine.cancelAll();
    flight(0).course.sent(5);
    flight(1).course.retrying(networkProblem());
    await settle();
    expect(states()).toEqual(['cancelled', 'cancelled', 'cancelled']);
    expect(flights).toHaveLength(2);
    expect(engine.snapshot()).toMatchObject({ active: 0, bytes: 0 });
  });
});

describe('pausing', () => {
  it('stops a file, keeps what was sent, and gives its place to the next', async () => {
    const { engine, flight, add, states } = setUp();
    add('a', 'b', 'c');
    flight(0).course.sent(mib);
    engine.pause(1);
    expect(flight(0).course.signal.aborted).toBe(true);
    expect(states()).toEqual(['paused', 'sending', 'sending']);
    expect(engine.snapshot()).toMatchObject({ sent: mib, bytes: 6 * mib, active: 2, paused: 1 });
    await settle();
    expect(states()).toEqual(['paused', 'sending', 'sending']);
  });

  it('goes on at once, also before the stopped request has ended', async () => {
    const { engine, flight, flights, add, states } = setUp();
    add('a');
    engine.pause(1);
    engine.resume(1);
    expect(states()).toEqual(['sending']);
    await settle();
    expect(states()).toEqual(['sending']);
    expect(flights).toHaveLength(2);
    flight(1).land();
    await settle();
    expect(states()).toEqual(['done']);
  });

  it('pauses and resumes all, in their order', async () => {
    const { engine, flight, flights, add, states } = setUp();
    add('a', 'b', 'c');
    engine.pauseAll();
    await settle();
    expect(states()).toEqual(['paused', 'paused', 'paused']);
    expect(flights).toHaveLength(2);
    engine.resumeAll();
    expect(states()).toEqual(['sending', 'sending', 'waiting']);
    expect([flight(2).item.path, flight(3).item.path]).toEqual(['/a', '/b']);
  });

  it('cancels what is paused', () => {
    const { engine, over, add, states } = setUp();
    add('a');
    engine.pause(1);
    engine.cancel(1);
    expect(states()).toEqual(['cancelled']);
    expect(over).toEqual(['/a cancelled']);
  });
});

describe('without a network', () => {
  it('stops, and goes on by itself', async () => {
    const { engine, flight, flights, add, states } = setUp();
    add('a', 'b', 'c');
    engine.setOnline(false);
    expect(flight(0).course.signal.aborted).toBe(true);
    expect(states()).toEqual(['waiting', 'waiting', 'waiting']);
    expect(engine.snapshot().halt).toBe('offline');
    await settle();
    expect(flights).toHaveLength(2);
    engine.setOnline(true);
    expect(engine.snapshot().halt).toBeUndefined();
    expect(states()).toEqual(['sending', 'sending', 'waiting']);
  });

  it('does not wake what the reader paused', async () => {
    const { engine, add, states } = setUp();
    add('a', 'b');
    engine.pause(1);
    engine.setOnline(false);
    engine.setOnline(true);
    await settle();
    expect(states()).toEqual(['paused', 'sending']);
  });
});

describe('small files', () => {
  it('go together', async () => {
    const { batches, batch, flights, addSized, states, stored } = setUp();
    addSized(10, ...Array.from({ length: 450 }, (_, n) => `${n}`));
    expect(batches.map((each) => each.batch.length)).toEqual([200, 200]);
    batch(0).land(...Array.from({ length: 200 }, () => 'stored' as const));
    await settle();
    expect(batch(2).batch).toHaveLength(50);
    expect(flights).toHaveLength(0);
    expect(states().filter((state) => state === 'done')).toHaveLength(200);
    expect(stored).toHaveLength(200);
  });

  it('do so up to a number of bytes, and never across policies', () => {
    const { engine, batches, flights, addSized } = setUp({ parallel: 9 });
    addSized(mib, ...Array.from({ length: 10 }, (_, n) => `${n}`));
    engine.add([{ path: '/other', file: new File(['x'], 'x') }], 'ann', 'replace');
    expect(batches.map((each) => each.batch.length)).toEqual([8, 2]);
    expect(flights.map((each) => each.item.path)).toEqual(['/other']);
  });

  it('each end in their own way', async () => {
    const { engine, batch, flight, addSized, states } = setUp();
    addSized(10, 'a', 'b', 'c');
    batch(0).land('stored', new Problem({ status: 400, code: 'bad_name' }), 'alone');
    await settle();
    expect(states()).toEqual(['done', 'failed', 'sending']);
    expect(flight(0).item.path).toBe('/c');
    flight(0).land();
    await settle();
    // A failed one is tried again by itself or with its like.
    engine.retry();
    expect(states()).toEqual(['done', 'sending', 'done']);
  });

  it('go one by one when their batch is refused', async () => {
    const { batch, flights, addSized, states } = setUp();
    addSized(10, 'a', 'b');
    batch(0).crash(new Problem({ status: 413, code: 'too_large' }));
    await settle();
    expect(states()).toEqual(['sending', 'sending']);
    expect(flights).toHaveLength(2);
  });

  it('are sent again as the same batch after the network was gone', async () => {
    const { engine, batch, batches, addSized } = setUp();
    addSized(10, 'a', 'b');
    engine.setOnline(false);
    addSized(10, 'c', 'd');
    engine.setOnline(true);
    await settle();
    expect(batches.map((each) => each.batch.map(({ item }) => item.path))).toEqual([
      ['/a', '/b'],
      ['/a', '/b'],
      ['/c', '/d'],
    ]);
    expect(batch(1).key).toBe(batch(0).key);
    expect(batch(2).key).not.toBe(batch(0).key);
  });

  it('are not paused or cancelled out of a batch that is under way, but with it', async () => {
    const { engine, batch, addSized, states } = setUp();
    addSized(10, 'a', 'b');
    engine.pauseAll();
    engine.cancel(1);
    expect(states()).toEqual(['sending', 'sending']);
    expect(engine.snapshot().pausable).toBe(0);
    engine.cancelAll();
    expect(batch(0).signal.aborted).toBe(true);
    await settle();
    expect(states()).toEqual(['cancelled', 'cancelled']);
  });
});

describe('after the page was loaded again', () => {
  const upload = {
    path: '/big',
    size: 20 * mib,
    handle: undefined,
    policy: 'rename',
    sent: 5,
    idempotencyKey: 'old',
  } as const;

  it('goes on at once where the file can be opened, and waits for the reader elsewhere', () => {
    const { engine, flight, flights, states } = setUp();
    const file = new File(['x'], 'big');
    engine.restore(
      [
        { ...upload, file: undefined },
        { ...upload, file, idempotencyKey: 'other' },
      ],
      'ann',
    );
    expect(states()).toEqual(['lost', 'sending']);
    expect(engine.snapshot()).toMatchObject({ lost: 1, active: 1, sent: 10 });
    engine.find(1, file);
    expect(states()).toEqual(['sending', 'sending']);
    expect(flights).toHaveLength(2);
    expect(flight(1).item).toMatchObject({ file, idempotencyKey: 'old' });
  });

  it('cancels what is lost', () => {
    const { engine, over, states } = setUp();
    engine.restore([{ ...upload, file: undefined }], 'ann');
    engine.cancel(1);
    expect(states()).toEqual(['cancelled']);
    expect(over).toEqual(['/big cancelled']);
  });
});

describe('the end of a session', () => {
  const ended = new Problem({ status: 401, code: 'unauthenticated' });

  it('halts, tells once, and goes on for the same account', async () => {
    let told = 0;
    const { engine, flight, flights, add, states } = setUp({ onSignedOut: () => told++ });
    add('a', 'b', 'c');
    flight(0).crash(ended);
    flight(1).crash(ended);
    await settle();
    expect(told).toBe(1);
    expect(states()).toEqual(['waiting', 'waiting', 'waiting']);
    expect(engine.snapshot().halt).toBe('signedOut');
    engine.signedIn('ann');
    expect(flights).toHaveLength(4);
    expect(engine.snapshot().halt).toBeUndefined();
  });

  it('sends nothing of one account to another, and keeps it for its own', async () => {
    const left: string[] = [];
    const { engine, flight, flights, over, add, states } = setUp({ onLeft: (item) => left.push(item.path) });
    add('a', 'b');
    flight(0).crash(ended);
    await settle();
    engine.signedIn('bob');
    await settle();
    expect(states()).toEqual(['cancelled', 'cancelled']);
    expect(flights).toHaveLength(2);
    expect(left).toEqual(['/a', '/b']);
    expect(over).toEqual([]);
  });
});

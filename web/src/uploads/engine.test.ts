import { describe, expect, it } from 'vitest';
import { networkProblem, Problem } from '../api/problem';
import { UploadEngine, type EngineOptions, type Send } from './engine';
import type { UploadItem } from './item';
import { maxTries } from './retry';

/** A file in flight whose end the test decides. */
interface Flight {
  item: UploadItem;
  signal: AbortSignal;
  progress: (sent: number) => void;
  land: () => void;
  crash: (error: unknown) => void;
}

/** An engine whose sends, waits and notifications the test drives by hand. */
function setUp(options: Partial<EngineOptions> = {}) {
  const flights: Flight[] = [];
  const waits: { ms: number; over: () => void }[] = [];
  const stored: string[] = [];
  const send: Send = (item, { signal, progress }) =>
    new Promise<void>((resolve, reject) => {
      flights.push({ item, signal, progress, land: resolve, crash: reject });
      signal.addEventListener('abort', () => reject(new Error('aborted')));
    });
  const engine = new UploadEngine({
    send,
    parallel: 2,
    onStored: (item) => stored.push(item.path),
    wait: (ms, signal) =>
      new Promise((resolve) => {
        waits.push({ ms, over: resolve });
        signal.addEventListener('abort', () => resolve());
      }),
    defer: (run) => run(),
    random: () => 1,
    ...options,
  });
  const add = (...names: string[]) =>
    engine.add(
      names.map((name) => ({ path: `/${name}`, file: new File(['12345678'], name) })),
      'ann',
      'rename',
    );
  const states = () => engine.snapshot().items.map((item) => item.state);
  const flight = (n: number): Flight => {
    const found = flights[n];
    if (!found) throw new Error(`no flight ${n}`);
    return found;
  };
  return { engine, flights, flight, waits, stored, add, states };
}

/** Lets every promise that is settled run its course. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('the queue', () => {
  it('keeps no more than the limit under way, and all in the end', async () => {
    const { flights, flight, stored, add, states } = setUp();
    add('a', 'b', 'c');
    expect(flights).toHaveLength(2);
    expect(states()).toEqual(['sending', 'sending', 'waiting']);
    flight(1).land();
    await settle();
    expect(flights).toHaveLength(3);
    flight(0).land();
    flight(2).land();
    await settle();
    expect(states()).toEqual(['done', 'done', 'done']);
    expect(stored.sort()).toEqual(['/a', '/b', '/c']);
  });

  it('counts bytes and says when only the server is still busy', async () => {
    const { engine, flight, add, states } = setUp();
    add('a', 'b');
    flight(0).progress(3);
    expect(engine.snapshot()).toMatchObject({ sent: 3, bytes: 16, active: 2 });
    flight(0).progress(8);
    expect(states()).toEqual(['finishing', 'sending']);
    flight(0).land();
    await settle();
    expect(engine.snapshot()).toMatchObject({ sent: 8, bytes: 16, active: 1, done: 1 });
  });

  it('measures the rate and tells the time left', () => {
    let now = 0;
    const { engine, flight, add } = setUp({ now: () => now });
    add('a', 'b');
    flight(0).progress(1);
    now = 1000;
    flight(0).progress(5);
    expect(engine.snapshot().rate).toBe(4);
    expect(engine.snapshot().left).toBe((16 - 5) / 4);
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

describe('trying again', () => {
  it('waits with backoff after a broken connection and sends with the same key', async () => {
    const { flight, flights, waits, add, states } = setUp();
    add('a');
    flight(0).crash(networkProblem());
    await settle();
    expect(states()).toEqual(['retrying']);
    expect(waits[0]?.ms).toBe(500);
    waits[0]?.over();
    await settle();
    expect(flights).toHaveLength(2);
    expect(flight(1).item.idempotencyKey).toBe(flight(0).item.idempotencyKey);
    flight(1).land();
    await settle();
    expect(states()).toEqual(['done']);
  });

  it('waits at least as long as the server asks', async () => {
    const { flight, waits, add } = setUp({ random: () => 0 });
    add('a');
    flight(0).crash(new Problem({ status: 503, code: 'busy', retryAfter: 7000 }));
    await settle();
    expect(waits[0]?.ms).toBe(7000);
  });

  it('gives up after the last try, and starts afresh when asked to', async () => {
    const { engine, flights, waits, add, states } = setUp();
    add('a');
    for (let tries = 1; tries <= maxTries; tries++) {
      flights.at(-1)?.crash(networkProblem());
      await settle();
      waits.at(-1)?.over();
      await settle();
    }
    expect(flights).toHaveLength(maxTries);
    expect(states()).toEqual(['failed']);
    expect(engine.snapshot().items[0]?.problem?.code).toBe('network');
    engine.retry();
    expect(states()).toEqual(['sending']);
    expect(engine.snapshot().items[0]?.problem).toBeUndefined();
    flights.at(-1)?.land();
    await settle();
    expect(states()).toEqual(['done']);
  });

  it('does not repeat what the server will refuse again', async () => {
    const { flight, flights, add, states } = setUp();
    add('a', 'b');
    flight(0).crash(new Problem({ status: 507, code: 'quota_exceeded' }));
    flight(1).crash(new Problem({ status: 400, code: 'bad_name' }));
    await settle();
    expect(states()).toEqual(['failed', 'failed']);
    expect(flights).toHaveLength(2);
  });

  it('calls a taken name skipped where that was asked for, and a failure elsewhere', async () => {
    const { engine, flight, states } = setUp();
    const file = new File(['x'], 'x');
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
    const { engine, flight, flights, add, states } = setUp();
    add('a', 'b', 'c');
    engine.cancel(flight(0).item.id);
    expect(flight(0).signal.aborted).toBe(true);
    await settle();
    expect(states()).toEqual(['cancelled', 'sending', 'sending']);
    expect(flights).toHaveLength(3);
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

  it('ends a wait for another try', async () => {
    const { engine, flight, flights, add, states } = setUp();
    add('a');
    flight(0).crash(networkProblem());
    await settle();
    engine.cancelAll();
    await settle();
    expect(states()).toEqual(['cancelled']);
    expect(flights).toHaveLength(1);
    expect(engine.snapshot()).toMatchObject({ active: 0, bytes: 0 });
  });
});

describe('the end of a session', () => {
  const over = new Problem({ status: 401, code: 'unauthenticated' });

  it('pauses, tells once, and goes on for the same account', async () => {
    let told = 0;
    const { engine, flight, flights, add, states } = setUp({ onSignedOut: () => told++ });
    add('a', 'b', 'c');
    flight(0).crash(over);
    flight(1).crash(over);
    await settle();
    expect(told).toBe(1);
    expect(states()).toEqual(['waiting', 'waiting', 'waiting']);
    expect(engine.snapshot().paused).toBe(true);
    engine.resume('ann');
    expect(flights).toHaveLength(4);
    expect(engine.snapshot().paused).toBe(false);
  });

  it('sends nothing of one account to another', async () => {
    const { engine, flight, flights, add, states } = setUp();
    add('a', 'b');
    flight(0).crash(over);
    await settle();
    engine.resume('bob');
    await settle();
    expect(states()).toEqual(['cancelled', 'cancelled']);
    expect(flights).toHaveLength(2);
  });
});

import { expect, it } from 'vitest';
import { fewestLanes } from './pace';
import { Traffic } from './traffic';

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Work that ends when the test says so. */
function held() {
  const ends: (() => void)[] = [];
  const work = () => new Promise<number>((resolve) => ends.push(() => resolve(1)));
  return { ends, work };
}

it('lets as many go at once as there are lanes, first come first served', async () => {
  const traffic = new Traffic(() => 0);
  const { ends, work } = held();
  const { signal } = new AbortController();
  for (let n = 0; n < 6; n++) void traffic.lane(signal, work);
  await settle();
  expect(ends).toHaveLength(4);
  ends[0]?.();
  await settle();
  expect(ends).toHaveLength(5);
});

it('lets go of those that no longer wait', async () => {
  const traffic = new Traffic(() => 0);
  const { ends, work } = held();
  const abort = new AbortController();
  for (let n = 0; n < 4; n++) void traffic.lane(new AbortController().signal, work);
  const waiting = traffic.lane(abort.signal, work);
  abort.abort();
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
  await expect(traffic.lane(abort.signal, work)).rejects.toMatchObject({ name: 'AbortError' });
  for (const end of ends) end();
  await settle();
  expect(ends).toHaveLength(4);
});

it('narrows after trouble on the line and not after a refusal', async () => {
  const traffic = new Traffic(() => 0);
  const { signal } = new AbortController();
  const fail = () => Promise.reject(new Error('no'));
  await expect(traffic.learn(signal, fail, () => false)).rejects.toThrow();
  expect(traffic.pace.lanes).toBe(4);
  await expect(traffic.learn(signal, fail, () => true)).rejects.toThrow();
  expect(traffic.pace.lanes).toBe(fewestLanes);
  const { ends, work } = held();
  for (let n = 0; n < 4; n++) void traffic.lane(signal, work);
  await settle();
  expect(ends).toHaveLength(fewestLanes);
});

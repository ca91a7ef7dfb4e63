import { expect, it } from 'vitest';
import { each } from './each';

it('does all, a few at a time, whatever fails', async () => {
  let running = 0;
  let most = 0;
  const outcome = await each(
    [1, 2, 3, 4, 5],
    async (n) => {
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
      if (n === 2) throw new Error('two');
    },
    2,
  );
  expect(most).toBe(2);
  expect(outcome.done).toEqual([1, 3, 4, 5]);
  expect(outcome.failed.map(({ item }) => item)).toEqual([2]);
});

import { expect, it } from 'vitest';
import { networkProblem, Problem } from '../api/problem';
import { mayRetry, retryDelay } from './retry';

it.each([
  [429, true],
  [500, true],
  [502, true],
  [503, true],
  [408, true],
  [501, false],
  [507, false],
  [400, false],
  [403, false],
  [409, false],
  [412, false],
  [-1, false],
])('a failure with status %i may be tried again: %s', (status, again) => {
  expect(mayRetry(new Problem({ status, code: 'x' }))).toBe(again);
});

it('tries again when there was no answer at all', () => {
  expect(mayRetry(networkProblem())).toBe(true);
});

it('grows, up to a limit, and spreads over the whole span', () => {
  const most = [1, 2, 3, 4, 20].map((tries) => retryDelay(tries, undefined, () => 1));
  expect(most).toEqual([500, 1000, 2000, 4000, 30_000]);
  expect(retryDelay(4, undefined, () => 0)).toBe(0);
  expect(retryDelay(1, 2000, () => 0.5)).toBe(2250);
});

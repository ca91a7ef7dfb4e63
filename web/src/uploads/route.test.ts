import { expect, it } from 'vitest';
import { isAnnounced, routeOf } from './route';

const mib = 1 << 20;

it.each([
  [0, 'batch'],
  [mib, 'batch'],
  [mib + 1, 'single'],
  [8 * mib, 'single'],
  [8 * mib + 1, 'session'],
])('a file of %i bytes travels as %s', (size, route) => {
  expect(routeOf(size)).toBe(route);
});

it('hashes first what is not too large, and always over an older version', () => {
  expect(isAnnounced(512 * mib, false)).toBe(true);
  expect(isAnnounced(512 * mib + 1, false)).toBe(false);
  expect(isAnnounced(5000 * mib, true)).toBe(true);
});

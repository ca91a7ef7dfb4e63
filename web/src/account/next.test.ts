import { expect, it } from 'vitest';
import { safeNext } from './next';

it.each([
  ['/files/a%20b?x=1', '/files/a%20b?x=1'],
  ['/trash', '/trash'],
  [null, '/files'],
  ['', '/files'],
  ['//evil.example', '/files'],
  ['/\\evil.example', '/files'],
  ['https://evil.example', '/files'],
  ['javascript:alert(1)', '/files'],
  ['/signin?next=/signin', '/files'],
  ['/sign-in?next=/x', '/files'],
])('%j leads to %s', (next, to) => {
  expect(safeNext(next)).toBe(to);
});

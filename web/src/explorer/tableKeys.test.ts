import { expect, it } from 'vitest';
import { keyCommand } from './tableKeys';

const at = { index: 5, last: 9, page: 3 };
const press = (key: string, more: object = {}) =>
  keyCommand({ key, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, ...more }, at);

it.each([
  ['ArrowDown', 6],
  ['ArrowUp', 4],
  ['PageDown', 8],
  ['PageUp', 2],
  ['Home', 0],
  ['End', 9],
])('%s moves to row %i', (key, to) => {
  expect(press(key)).toEqual({ kind: 'move', to, extend: false });
  expect(press(key, { shiftKey: true })).toEqual({ kind: 'move', to, extend: true });
});

it('stays within the list', () => {
  const down = { key: 'PageDown', shiftKey: false, ctrlKey: false, metaKey: false, altKey: false };
  expect(keyCommand(down, { index: 8, last: 9, page: 3 })).toMatchObject({ to: 9 });
});

it('knows its commands and leaves other keys alone', () => {
  expect(press('a', { ctrlKey: true })).toEqual({ kind: 'all' });
  expect(press('a', { metaKey: true })).toEqual({ kind: 'all' });
  expect(press('F2')).toEqual({ kind: 'rename' });
  expect(press('Delete')).toEqual({ kind: 'trash' });
  expect(press('ArrowUp', { altKey: true })).toBeUndefined();
  expect(press('c', { ctrlKey: true })).toBeUndefined();
  expect(press('Tab')).toBeUndefined();
});

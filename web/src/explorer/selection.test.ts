import { expect, it } from 'vitest';
import { activate, clear, noSelection, selectAll, selectOnly, selectTo, toggle, type Selection } from './selection';

const order = ['a', 'b', 'c', 'd', 'e'];
const ids = (selection: Selection) => [...selection.ids].sort().join('');

it('selects one, adds and takes away', () => {
  let now = selectOnly('b');
  now = toggle(now, 'd');
  expect(ids(now)).toBe('bd');
  now = toggle(now, 'b');
  expect(ids(now)).toBe('d');
  expect(now.active).toBe('b');
});

it('grows and shrinks a range around where it began', () => {
  let now = selectTo(selectOnly('c'), order, 'e');
  expect(ids(now)).toBe('cde');
  now = selectTo(now, order, 'b');
  expect(ids(now)).toBe('bc');
  expect(now).toMatchObject({ active: 'b', anchor: 'c' });
});

it('begins a range where the keyboard is', () => {
  expect(ids(selectTo(activate(noSelection, 'b'), order, 'c'))).toBe('bc');
});

it('falls back to one where the range began outside the list', () => {
  expect(ids(selectTo(selectOnly('gone'), order, 'c'))).toBe('c');
});

it('selects all and nothing without moving the keyboard', () => {
  const all = selectAll(activate(noSelection, 'c'), order);
  expect(ids(all)).toBe('abcde');
  expect(clear(all)).toMatchObject({ active: 'c', ids: new Set() });
});

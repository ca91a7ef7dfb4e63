import { expect, it } from 'vitest';
import { eventQuery, exportLink, filterOf } from './eventFilter';

const nothing = { kind: '', userId: '', since: '', until: '' };

it('reads the address', () => {
  expect(filterOf(new URLSearchParams('kind=signin&userId=7&since=2026-11-01'))).toEqual({
    ...nothing,
    kind: 'signin',
    userId: '7',
    since: '2026-11-01',
  });
});

it('asks for whole days of the reader', () => {
  expect(eventQuery({ ...nothing, since: '2026-11-25', until: '2026-11-30' })).toEqual({
    since: new Date(2026, 10, 25).toISOString(),
    until: new Date(2026, 11, 1).toISOString(),
  });
});

it('asks for all that begins with a kind', () => {
  expect(eventQuery({ ...nothing, kind: 'signin', userId: '7' })).toEqual({ action: 'signin.', userId: '7' });
});

it('leaves out what is no day', () => {
  expect(eventQuery({ ...nothing, since: 'soon', until: '2026-1-1' })).toEqual({});
});

it('exports what is on screen', () => {
  expect(exportLink(nothing)).toBe('/api/v1/admin/events/export');
  expect(exportLink({ ...nothing, kind: 'key', userId: '7' })).toBe('/api/v1/admin/events/export?action=key.&userId=7');
});

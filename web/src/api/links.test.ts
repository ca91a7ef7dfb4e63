import { expect, it } from 'vitest';
import { archiveLinks } from './links';

const node = (n: number, kind: 'file' | 'folder' = 'file') => ({ id: `n${n}`, path: `/照 片/${n}`, kind });

it('names a folder by its path, and several nodes by their ids', () => {
  expect(archiveLinks([node(1, 'folder')])).toEqual(['/api/v1/archive?path=%2F%E7%85%A7+%E7%89%87%2F1']);
  expect(archiveLinks([node(1), node(2, 'folder')])).toEqual(['/api/v1/archive?ids=n1,n2']);
  expect(archiveLinks([])).toEqual([]);
});

it('makes several archives of what no address can hold', () => {
  const links = archiveLinks(Array.from({ length: 1001 }, (_, n) => node(n)));
  expect(links).toHaveLength(3);
  expect(links[2]).toBe('/api/v1/archive?ids=n1000');
});

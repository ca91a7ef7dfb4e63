import { describe, expect, it } from 'vitest';
import {
  ancestors,
  baseName,
  folderAddress,
  folderOfAddress,
  isWithin,
  joinPath,
  nameFault,
  parentPath,
  stemLength,
} from './path';

it('joins, splits and compares paths', () => {
  expect(joinPath('/', 'a')).toBe('/a');
  expect(joinPath('/a', 'b')).toBe('/a/b');
  expect(parentPath('/a/b')).toBe('/a');
  expect(parentPath('/a')).toBe('/');
  expect(parentPath('/')).toBe('/');
  expect(baseName('/a/b')).toBe('b');
  expect(baseName('/')).toBe('');
  expect(isWithin('/a/b', '/a')).toBe(true);
  expect(isWithin('/a', '/a')).toBe(true);
  expect(isWithin('/ab', '/a')).toBe(false);
  expect(isWithin('/x', '/')).toBe(true);
});

it('names the folders from the root down', () => {
  expect(ancestors('/')).toEqual([{ name: '', path: '/' }]);
  expect(ancestors('/a/b')).toEqual([
    { name: '', path: '/' },
    { name: 'a', path: '/a' },
    { name: 'b', path: '/a/b' },
  ]);
});

describe('addresses', () => {
  it.each(['/', '/a/b', '/100%/50%25', '/a?b#c', '/设计稿/é &+', '/%2F', '/ (1)'])('lead to %s and back', (path) => {
    expect(folderOfAddress(folderAddress(path))).toBe(path);
    expect(new URL(folderAddress(path), 'http://x').pathname).toBe(folderAddress(path));
  });

  it('take a slash at the end, and refuse what no folder has', () => {
    expect(folderAddress('/')).toBe('/files');
    expect(folderOfAddress('/files/')).toBe('/');
    expect(folderOfAddress('/files/a/')).toBe('/a');
    expect(folderOfAddress('/files/%ZZ')).toBeUndefined();
    expect(folderOfAddress('/files/a%2Fb')).toBeUndefined();
  });
});

it.each([
  ['notes.txt', undefined],
  ['..a', undefined],
  ['é'.repeat(127), undefined],
  ['', 'empty'],
  ['a/b', 'slash'],
  ['a\\b', 'slash'],
  ['.', 'dots'],
  ['..', 'dots'],
  ['a\u200bb', 'invisible'],
  ['a\u202eb', 'invisible'],
  ['a\nb', 'invisible'],
  ['é'.repeat(128), 'long'],
])('the name %j has the fault %s', (name, fault) => {
  expect(nameFault(name)).toBe(fault);
});

it.each([
  ['photo.jpeg', 5],
  ['backup.tar.gz', 6],
  ['.gitignore', 10],
  ['README', 6],
])('the stem of %s has %i letters', (name, length) => {
  expect(stemLength(name)).toBe(length);
});

import { expect, it } from 'vitest';
import { fromDrop } from './dropped';

/** A stand-in for the browser's entries that hands folders out two at a time, as browsers hand out a hundred. */
function file(fullPath: string) {
  return {
    isFile: true,
    isDirectory: false,
    fullPath,
    file: (done: (file: File) => void) => done(new File([], fullPath)),
  };
}

function folder(fullPath: string, children: unknown[]) {
  const createReader = () => {
    const left = [...children];
    return { readEntries: (done: (part: unknown[]) => void) => done(left.splice(0, 2)) };
  };
  return { isFile: false, isDirectory: true, fullPath, createReader };
}

function drop(...entries: unknown[]): DataTransfer {
  const items = entries.map((entry) => ({ kind: 'file', webkitGetAsEntry: () => entry, getAsFile: () => null }));
  return { items } as unknown as DataTransfer;
}

it('walks folders to the bottom, in parts, and keeps empty ones', async () => {
  const tree = folder('/a', [
    file('/a/1'),
    file('/a/2'),
    file('/a/3'),
    folder('/a/b', [file('/a/b/4')]),
    folder('/a/none', []),
  ]);
  const found = await fromDrop(drop(tree, file('/top')));
  expect(found.files.map(({ path }) => path).sort()).toEqual(['a/1', 'a/2', 'a/3', 'a/b/4', 'top']);
  expect(found.emptyFolders).toEqual(['a/none']);
});

it('brings names into normal form C', async () => {
  const found = await fromDrop(drop(file('/e\u0301.txt')));
  expect(found.files[0]?.path).toBe('\u00e9.txt');
});

it('takes a file that has no entry', async () => {
  const items = [
    { kind: 'file', webkitGetAsEntry: () => null, getAsFile: () => new File([], 'plain') },
    { kind: 'string' },
  ];
  const found = await fromDrop({ items } as unknown as DataTransfer);
  expect(found.files.map(({ path }) => path)).toEqual(['plain']);
});

import { expect, it } from 'vitest';
import { findConflict } from './conflicts';

/** A drive with these paths; folders end with a slash. */
function drive(...paths: string[]) {
  const asked: string[] = [];
  const lookup = (path: string) => {
    asked.push(path);
    if (paths.includes(`${path}/`)) return Promise.resolve('folder' as const);
    return Promise.resolve(paths.includes(path) ? ('file' as const) : undefined);
  };
  return { asked, lookup };
}

it('finds a file that is there', async () => {
  const { lookup } = drive('/in/', '/in/b');
  expect(await findConflict('/in', ['a', 'b', 'c'], lookup)).toBe('/in/b');
});

it('asks once about a new folder, however much is in it', async () => {
  const { asked, lookup } = drive();
  const paths = Array.from({ length: 1000 }, (_, n) => `new/deep/${n}`);
  expect(await findConflict('/', paths, lookup)).toBeUndefined();
  expect(asked).toEqual(['/new']);
});

it('merges folders and finds what is taken inside', async () => {
  const { lookup } = drive('/a/', '/a/b/', '/a/b/c');
  expect(await findConflict('/', ['a/b/x'], lookup)).toBeUndefined();
  expect(await findConflict('/', ['a/b/x', 'a/b/c'], lookup)).toBe('/a/b/c');
});

it('takes a folder in the way of a file, and a file in the way of a folder, for taken', async () => {
  const { lookup } = drive('/a/', '/f');
  expect(await findConflict('/', ['a'], lookup)).toBe('/a');
  expect(await findConflict('/', ['f/x'], lookup)).toBe('/f');
});

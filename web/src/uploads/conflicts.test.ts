import { expect, it } from 'vitest';
import { findConflict } from './conflicts';

/** A drive with these paths; folders end with a slash. */
function drive(...paths: string[]) {
  const asked: string[] = [];
  const listed: string[] = [];
  const lookup = (path: string) => {
    asked.push(path);
    if (paths.includes(`${path}/`)) return Promise.resolve('folder' as const);
    return Promise.resolve(paths.includes(path) ? ('file' as const) : undefined);
  };
  const list = (folder: string) => {
    listed.push(folder);
    const below = folder === '/' ? '/' : `${folder}/`;
    const inside = paths
      .filter((path) => path.startsWith(below) && path !== below)
      .map((path) => path.slice(below.length));
    const here = inside.filter((name) => !name.replace(/\/$/, '').includes('/'));
    return Promise.resolve(
      new Map(
        here.map((name) => [name.replace(/\/$/, ''), name.endsWith('/') ? ('folder' as const) : ('file' as const)]),
      ),
    );
  };
  return { asked, listed, lookup, list };
}

it('finds a file that is there', async () => {
  const { lookup, list } = drive('/in/', '/in/b');
  expect(await findConflict('/in', ['a', 'b', 'c'], lookup, list)).toBe('/in/b');
});

it('asks once about a new folder, however much is in it', async () => {
  const { asked, lookup, list } = drive();
  const paths = Array.from({ length: 1000 }, (_, n) => `new/deep/${n}`);
  expect(await findConflict('/', paths, lookup, list)).toBeUndefined();
  expect(asked).toEqual(['/new']);
});

it('merges folders and finds what is taken inside', async () => {
  const { lookup, list } = drive('/a/', '/a/b/', '/a/b/c');
  expect(await findConflict('/', ['a/b/x'], lookup, list)).toBeUndefined();
  expect(await findConflict('/', ['a/b/x', 'a/b/c'], lookup, list)).toBe('/a/b/c');
});

it('takes a folder in the way of a file, and a file in the way of a folder, for taken', async () => {
  const { lookup, list } = drive('/a/', '/f');
  expect(await findConflict('/', ['a'], lookup, list)).toBe('/a');
  expect(await findConflict('/', ['f/x'], lookup, list)).toBe('/f');
});

it('reads a folder once instead of asking about many names, and goes on into folders on both sides', async () => {
  const { asked, listed, lookup, list } = drive('/in/', '/in/a/', '/in/a/x', '/in/b');
  const others = Array.from({ length: 1000 }, (_, n) => `${n}`);
  expect(await findConflict('/in', ['a/y', ...others], lookup, list)).toBeUndefined();
  expect(await findConflict('/in', [...others, 'b'], lookup, list)).toBe('/in/b');
  expect(await findConflict('/in', [...others, 'a/x'], lookup, list)).toBe('/in/a/x');
  expect(listed).toEqual(['/in', '/in', '/in']);
  expect(asked).toEqual(['/in/a/y', '/in/a/x']);
});

it('asks about each name where a folder holds too much to be read', async () => {
  const { asked, lookup } = drive('/in/');
  const names = Array.from({ length: 20 }, (_, n) => `${n}`);
  expect(await findConflict('/in', names, lookup, () => Promise.resolve(undefined))).toBeUndefined();
  expect(asked).toHaveLength(20);
});

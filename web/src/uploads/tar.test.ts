import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { paxRecord, writeTar, type TarEntry } from './tar';

async function bytesOf(entries: TarEntry[]): Promise<Buffer> {
  return Buffer.from(await writeTar(entries).blob.arrayBuffer());
}

it('writes the very bytes that GNU tar writes for a plain file', async () => {
  const made = await bytesOf([{ path: 'a.txt', content: new Blob(['hello']), modified: 1_700_000_000_000 }]);
  const header = Buffer.alloc(512);
  header.write('a.txt', 0);
  header.write('0000644\0' + '0000000\0' + '0000000\0' + '00000000005\0' + '14524770400\0', 100);
  header.write('        0', 148);
  header.write('ustar\x0000', 257);
  header.write('0000000\x000000000\0', 329);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const content = Buffer.alloc(512);
  content.write('hello');
  expect(made.equals(Buffer.concat([header, content, Buffer.alloc(1024)]))).toBe(true);
});

it('counts the length of a pax record with its own digits', () => {
  expect(paxRecord('path', 'é')).toBe('11 path=é\n');
  expect(paxRecord('path', 'x'.repeat(90))).toBe(`99 path=${'x'.repeat(90)}\n`);
  // One letter more, and the length needs a third digit, which it counts too.
  expect(paxRecord('path', 'x'.repeat(91))).toBe(`101 path=${'x'.repeat(91)}\n`);
});

it('is read by tar: folders, long and Chinese names, empty files, and times to the millisecond', async () => {
  const long = `${'deep/'.repeat(40)}end.txt`;
  const entries: TarEntry[] = [
    { path: 'folder' },
    { path: '照片/你好 🎉.txt', content: new Blob(['你好']), modified: 1_700_000_000_123 },
    { path: long, content: new Blob(['x'.repeat(513)]) },
    { path: 'empty', content: new Blob([]), modified: 1_600_000_000_000 },
    { path: 'exact', content: new Blob(['y'.repeat(512)]), modified: -1500 },
  ];
  const dir = mkdtempSync(join(tmpdir(), 'gopan-tar-'));
  try {
    const file = join(dir, 'made.tar');
    writeFileSync(file, await bytesOf(entries));
    execFileSync('tar', ['-xf', file, '-C', dir]);
    expect(statSync(join(dir, 'folder')).isDirectory()).toBe(true);
    expect(readFileSync(join(dir, '照片/你好 🎉.txt'), 'utf8')).toBe('你好');
    expect(statSync(join(dir, '照片/你好 🎉.txt')).mtimeMs).toBeCloseTo(1_700_000_000_123, 0);
    expect(statSync(join(dir, long)).size).toBe(513);
    expect(statSync(join(dir, 'empty')).size).toBe(0);
    expect(statSync(join(dir, 'empty')).mtimeMs).toBe(1_600_000_000_000);
    expect(statSync(join(dir, 'exact')).mtimeMs).toBeCloseTo(-1500, 0);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

it('says where each entry is whole', async () => {
  const { blob, ends } = writeTar([
    { path: 'a', content: new Blob(['1']) },
    { path: 'b' },
    { path: 'é', content: new Blob(['22']) },
  ]);
  expect(ends).toEqual([1024, 1536, 1536 + 512 * 4]);
  expect((await blob.arrayBuffer()).byteLength).toBe(1536 + 512 * 4 + 1024);
});

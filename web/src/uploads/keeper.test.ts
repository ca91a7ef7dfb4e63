import { describe, expect, it, vi } from 'vitest';
import type { UploadItem } from './item';
import { Keeper, type Locks, type RecordStore, type UploadRecord } from './keeper';

const settle = async () => {
  for (let n = 0; n < 10; n++) await new Promise<void>((resolve) => setImmediate(resolve));
};

/** What all pages of one browser share. */
function browser() {
  const records = new Map<string, UploadRecord>();
  const holders = new Map<string, (() => void)[]>();
  const store: RecordStore = {
    all: () => Promise.resolve([...records.values()]),
    get: (key) => Promise.resolve(records.get(key)),
    put: (all) => {
      for (const record of all) records.set(record.key, record);
      return Promise.resolve();
    },
    remove: (key) => {
      records.delete(key);
      return Promise.resolve();
    },
  };
  const locks: Locks = {
    take: (key) =>
      new Promise((resolve) => {
        const waiting = holders.get(key);
        if (waiting) {
          waiting.push(resolve);
        } else {
          holders.set(key, []);
          resolve();
        }
      }),
    release: (key) => {
      const next = holders.get(key)?.shift();
      if (next) next();
      else holders.delete(key);
    },
  };
  let now = 1000;
  const page = () => new Keeper(store, locks, () => now);
  const pass = (ms: number) => (now += ms);
  return { records, locks, page, pass };
}

const size = 9 << 20;

function fileOf(name: string, letter: string, lastModified = 5): File {
  return new File([letter.repeat(size)], name, { lastModified });
}

function itemOf(key: string, file: File, owner = 'ann'): UploadItem {
  return {
    id: 1,
    owner,
    path: `/${file.name}`,
    size: file.size,
    file,
    handle: undefined,
    policy: 'rename',
    idempotencyKey: key,
    state: 'waiting',
    sent: 0,
    hashed: 0,
    together: false,
  };
}

/** Samples are taken beside, and finished some time after the upload was added. */
async function sampled(records: Map<string, UploadRecord>, keys: string[]): Promise<void> {
  await vi.waitFor(() => {
    expect(keys.filter((key) => !records.get(key)?.sample)).toEqual([]);
  });
}

const ref = { id: 's1', token: 't', announced: true };

describe('a keeper', () => {
  it('hands an upload and its session to the next life of the page', async () => {
    const { page, locks } = browser();
    const before = page();
    before.add([itemOf('k', fileOf('a', 'x'))]);
    before.set('k', ref);
    await settle();
    locks.release('k');
    const after = page();
    const found: UploadRecord[] = [];
    await after.restore('ann', (record) => found.push(record));
    await settle();
    expect(found).toMatchObject([{ key: 'k', path: '/a', size, policy: 'rename' }]);
    expect(after.get('k')).toEqual(ref);
  });

  it('keeps nothing of small files, and nothing of what is over', async () => {
    const { page, records } = browser();
    const keeper = page();
    keeper.add([itemOf('small', new File(['x'], 'small')), itemOf('k', fileOf('a', 'x'))]);
    await settle();
    expect([...records.keys()]).toEqual(['k']);
    keeper.forget('k');
    await settle();
    expect(records.size).toBe(0);
    // A late answer brings nothing back.
    keeper.set('k', ref);
    await settle();
    expect(records.size).toBe(0);
  });

  it('leaves an upload to the page that drives it, and takes over when that closes', async () => {
    const { page, locks } = browser();
    page().add([itemOf('k', fileOf('a', 'x')), itemOf('done', fileOf('b', 'x'))]);
    await settle();
    const found: string[] = [];
    const other = page();
    await other.restore('ann', ({ key }) => found.push(key));
    await other.restore('ann', ({ key }) => found.push(key));
    await settle();
    expect(found).toEqual([]);
    locks.release('k');
    await settle();
    expect(found).toEqual(['k']);
  });

  it('takes over nothing that the other page finished', async () => {
    const { page } = browser();
    const first = page();
    first.add([itemOf('k', fileOf('a', 'x'))]);
    await settle();
    const found: string[] = [];
    await page().restore('ann', ({ key }) => found.push(key));
    first.forget('k');
    await settle();
    expect(found).toEqual([]);
  });

  it('shows an account only its own, and forgets what is too old', async () => {
    const { page, locks, pass, records } = browser();
    page().add([itemOf('k', fileOf('a', 'x'))]);
    await sampled(records, ['k']);
    locks.release('k');
    const found: string[] = [];
    await page().restore('bob', ({ key }) => found.push(key));
    await settle();
    expect(found).toEqual([]);
    pass(8 * 24 * 3600 * 1000);
    await page().restore('ann', ({ key }) => found.push(key));
    await settle();
    expect(found).toEqual([]);
    expect(records.size).toBe(0);
  });

  it('lets go of an upload and keeps it for later', async () => {
    const { page } = browser();
    const keeper = page();
    keeper.add([itemOf('k', fileOf('a', 'x'))]);
    await settle();
    expect(keeper.leave('k')).toBe(true);
    const found: string[] = [];
    await keeper.restore('ann', ({ key }) => found.push(key));
    await settle();
    expect(found).toEqual(['k']);
  });
});

describe('recognising a file', () => {
  const setUp = async () => {
    const { page, records } = browser();
    const keeper = page();
    keeper.add([itemOf('k', fileOf('a', 'x')), itemOf('l', fileOf('b', 'x'))]);
    // Until then any bytes are as good.
    await sampled(records, ['k', 'l']);
    return keeper;
  };

  it('finds the upload that it belongs to', async () => {
    const keeper = await setUp();
    expect(await keeper.recognise(['k', 'l'], fileOf('b', 'x'))).toBe('l');
    expect(await keeper.recognise(['k'], fileOf('a', 'x'))).toBe('k');
    expect(await keeper.recognise(['l'], fileOf('a', 'x'))).toBeUndefined();
  });

  it.each([
    ['another name', fileOf('c', 'x')],
    ['another size', new File(['x'.repeat(size + 1)], 'a', { lastModified: 5 })],
    ['another time', fileOf('a', 'x', 6)],
    ['other bytes', fileOf('a', 'y')],
  ])('refuses one with %s', async (_, file) => {
    const keeper = await setUp();
    expect(await keeper.recognise(['k', 'l'], file)).toBeUndefined();
  });
});

import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { inflateRawSync } from 'node:zlib';
import type { Page, TestInfo } from '@playwright/test';
import { act, createFolder, dismissUploads, dropFile, expect, fresh, openFolder, row, signIn, test } from './support';

const mib = 1 << 20;
const blockBytes = 4 * mib;

/** A file on the disk with bytes that no drive has seen. */
function bigFile(testInfo: TestInfo, name: string, size: number): string {
  const path = testInfo.outputPath(name);
  writeFileSync(path, randomBytes(size));
  return path;
}

/** The blocks that a page sends, and those that the server has taken, in the order of their requests. */
interface BlockLog {
  sent: number[];
  taken: number[];
}

/** Watches a page's requests for blocks, from its next load on. How many there are in one only its body tells. */
async function watchBlocks(page: Page): Promise<BlockLog> {
  const log: BlockLog = { sent: [], taken: [] };
  await page.exposeFunction('noteBlocks', (what: keyof BlockLog, first: number, bytes: number) => {
    log[what].push(...Array.from({ length: Math.ceil(bytes / blockBytes) }, (_, n) => first + n));
  });
  await page.addInitScript(() => {
    const { noteBlocks } = window as unknown as { noteBlocks: (what: string, first: number, bytes: number) => void };
    window.XMLHttpRequest = class extends XMLHttpRequest {
      private first: number | undefined;

      override open(method: string, url: string | URL) {
        const [, first] = /\/blocks\/(\d+)$/.exec(url.toString()) ?? [];
        if (first) this.first = Number(first);
        super.open(method, url, true);
      }

      override send(body: XMLHttpRequestBodyInit | null = null) {
        const { first } = this;
        if (first !== undefined && body instanceof Blob) {
          noteBlocks('sent', first, body.size);
          this.addEventListener('load', () => {
            if (this.status === 204) noteBlocks('taken', first, body.size);
          });
        }
        super.send(body);
      }
    };
  });
  return log;
}

/** Makes the line so slow that a test can look at it. Bytes a second. */
async function throttle(page: Page, rate: number): Promise<() => Promise<void>> {
  const network = await page.context().newCDPSession(page);
  const set = (uploadThroughput: number) =>
    network.send('Network.emulateNetworkConditions', {
      offline: false,
      latency: 0,
      downloadThroughput: -1,
      uploadThroughput,
    });
  await set(rate);
  return async () => {
    await set(-1);
    await network.detach();
  };
}

async function choose(page: Page, path: string | string[]): Promise<void> {
  await page.getByRole('button', { name: 'Upload', exact: true }).first().click();
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('menuitem', { name: 'Upload files' }).click();
  await (await chooser).setFiles(path);
}

const total = (page: Page) => page.getByRole('progressbar', { name: 'All uploads' });

async function percent(page: Page): Promise<number> {
  return Number(await total(page).getAttribute('aria-valuenow'));
}

async function sumOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function downloadedSum(page: Page, name: string): Promise<string> {
  const download = page.waitForEvent('download');
  await act(page, name, 'Download');
  return sumOf(await (await download).path());
}

async function inFreshFolder(page: Page, name: string): Promise<string> {
  await signIn(page);
  const folder = fresh(name);
  await createFolder(page, folder);
  await openFolder(page, folder);
  return folder;
}

test('an upload that a reload interrupts goes on where it was', async ({ page }, testInfo) => {
  const path = bigFile(testInfo, 'film.mkv', 100 * mib);
  const log = await watchBlocks(page);
  await inFreshFolder(page, 'Reload');
  const release = await throttle(page, 16 * mib);
  await choose(page, path);
  await expect.poll(() => percent(page), { timeout: 60_000 }).toBeGreaterThan(45);
  page.on('dialog', (dialog) => void dialog.accept());
  const taken = new Set(log.taken);
  expect(taken.size).toBeGreaterThan(5);
  expect(taken.size).toBeLessThan(25);
  await page.reload();
  await expect(page.getByText('1 upload was interrupted')).toBeVisible();
  await expect(page.getByText('Choose the file again to go on')).toBeVisible();

  await test.step('another file of the same name is not taken for it', async () => {
    const other = bigFile(testInfo, 'other.mkv', 100 * mib);
    const chooser = page.waitForEvent('filechooser');
    await page.getByRole('button', { name: 'Choose film.mkv again' }).click();
    await (await chooser).setFiles(other);
    await expect(page.getByText('This is another file')).toBeVisible();
  });

  const before = log.sent.length;
  await release();
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Choose film.mkv again' }).click();
  await (await chooser).setFiles(path);
  await expect(page.getByText('1 file uploaded')).toBeVisible({ timeout: 60_000 });
  // Blocks that the server had are not sent again; what was on the line then may be.
  const again = log.sent.slice(before).filter((block) => taken.has(block));
  expect(again.length).toBeLessThanOrEqual(2);
  expect(new Set(log.sent).size).toBe(25);
  await dismissUploads(page);
  expect(await downloadedSum(page, 'film.mkv')).toBe(await sumOf(path));
});

test('an upload waits while the network is gone, and goes on by itself', async ({ page }, testInfo) => {
  const path = bigFile(testInfo, 'offline.bin', 100 * mib);
  const log = await watchBlocks(page);
  await inFreshFolder(page, 'Offline');
  const release = await throttle(page, 16 * mib);
  await choose(page, path);
  await expect.poll(() => percent(page), { timeout: 60_000 }).toBeGreaterThan(45);
  await page.context().setOffline(true);
  await expect(page.getByText('Offline: goes on by itself')).toBeVisible();
  const taken = new Set(log.taken);
  const before = log.sent.length;
  await release();
  await page.context().setOffline(false);
  await expect(page.getByText('1 file uploaded')).toBeVisible({ timeout: 60_000 });
  expect(log.sent.slice(before).filter((block) => taken.has(block)).length).toBeLessThanOrEqual(2);
  await dismissUploads(page);
  expect(await downloadedSum(page, 'offline.bin')).toBe(await sumOf(path));
});

test('an upload pauses, resumes and is cancelled, by the keyboard too', async ({ page }, testInfo) => {
  const path = bigFile(testInfo, 'pause.bin', 40 * mib);
  const log = await watchBlocks(page);
  await inFreshFolder(page, 'Pause');
  const release = await throttle(page, 8 * mib);
  await choose(page, path);
  await expect.poll(() => log.taken.length, { timeout: 60_000 }).toBeGreaterThan(1);
  await page.getByRole('button', { name: 'Pause pause.bin' }).click();
  await expect(page.getByText('1 upload is paused')).toBeVisible();
  const taken = new Set(log.taken);
  const sent = log.sent.length;
  const shown = await percent(page);
  expect(shown).toBeGreaterThan(0);
  await release();
  await page.getByRole('button', { name: 'Go on with pause.bin' }).focus();
  await page.keyboard.press('Enter');
  await expect(page.getByText('1 file uploaded')).toBeVisible({ timeout: 60_000 });
  expect(log.sent.slice(sent).filter((block) => taken.has(block)).length).toBeLessThanOrEqual(2);
  await dismissUploads(page);
  expect(await downloadedSum(page, 'pause.bin')).toBe(await sumOf(path));

  await test.step('cancelling frees what the server had', async () => {
    const again = await throttle(page, 4 * mib);
    const gone = page.waitForResponse(
      (answer) => answer.request().method() === 'DELETE' && answer.url().includes('uploads/'),
    );
    await choose(page, bigFile(testInfo, 'cancel.bin', 40 * mib));
    const cancel = page.getByRole('button', { name: 'Cancel cancel.bin' });
    const from = log.sent.length;
    await expect.poll(() => log.sent.length, { timeout: 60_000 }).toBeGreaterThan(from);
    await page.getByRole('button', { name: 'Pause all' }).click();
    await page.getByRole('button', { name: 'Resume all' }).click();
    await cancel.click();
    expect((await gone).status()).toBe(204);
    await expect(page.getByText('Nothing was uploaded')).toBeVisible();
    await expect(row(page, 'cancel.bin')).toHaveCount(0);
    await again();
  });
});

test('what the drive has already is there at once', async ({ page }, testInfo) => {
  const path = bigFile(testInfo, 'first.bin', 40 * mib);
  const log = await watchBlocks(page);
  await inFreshFolder(page, 'Instant');
  await choose(page, path);
  await expect(page.getByText('1 file uploaded')).toBeVisible({ timeout: 60_000 });
  await dismissUploads(page);
  log.sent.length = 0;
  const copy = testInfo.outputPath('second.bin');
  writeFileSync(copy, await readFile(path));
  await choose(page, copy);
  await expect(page.getByText('Instant: already stored')).toBeVisible({ timeout: 60_000 });
  expect(log.sent).toEqual([]);
  await expect(row(page, 'second.bin')).toContainText('40 MiB');
  await dismissUploads(page);
  expect(await downloadedSum(page, 'second.bin')).toBe(await sumOf(path));
});

test('a new version sends only the blocks that differ', async ({ page }, testInfo) => {
  const path = bigFile(testInfo, 'image.raw', 40 * mib);
  const log = await watchBlocks(page);
  await inFreshFolder(page, 'Delta');
  await choose(page, path);
  await expect(page.getByText('1 file uploaded')).toBeVisible({ timeout: 60_000 });
  await dismissUploads(page);
  const bytes = await readFile(path);
  bytes.fill(7, 3 * blockBytes + 5, 3 * blockBytes + 50);
  writeFileSync(path, bytes);
  log.sent.length = 0;
  await choose(page, path);
  const dialog = page.getByRole('dialog', { name: 'Some names are already taken' });
  await dialog.getByRole('radio', { name: 'Replace' }).check();
  await dialog.getByRole('button', { name: 'Upload' }).click();
  await expect(page.getByText('1 file uploaded')).toBeVisible({ timeout: 60_000 });
  expect(log.sent).toEqual([3]);
  await dismissUploads(page);
  expect(await downloadedSum(page, 'image.raw')).toBe(await sumOf(path));
});

test('a file that the browser can open again needs no choosing after a reload', async ({ page }) => {
  // The origin's own files stand for the disk's: their handles are kept and opened as those are, without a dialog.
  await page.addInitScript(() => {
    Object.defineProperty(window, 'showOpenFilePicker', {
      value: async () => {
        const root = await navigator.storage.getDirectory();
        return [await root.getFileHandle('kept.bin')];
      },
    });
  });
  const log = await watchBlocks(page);
  await inFreshFolder(page, 'Handle');
  await page.evaluate(async (size) => {
    const root = await navigator.storage.getDirectory();
    const writer = await (await root.getFileHandle('kept.bin', { create: true })).createWritable();
    for (let at = 0; at < size; at += 65_536) await writer.write(crypto.getRandomValues(new Uint8Array(65_536)));
    await writer.close();
  }, 40 * mib);
  const release = await throttle(page, 8 * mib);
  await page.getByRole('button', { name: 'Upload', exact: true }).first().click();
  await page.getByRole('menuitem', { name: 'Upload files' }).click();
  await expect.poll(() => log.taken.length, { timeout: 60_000 }).toBeGreaterThan(2);
  page.on('dialog', (dialog) => void dialog.accept());
  const taken = new Set(log.taken);
  const before = log.sent.length;

  await test.step('a second page leaves it to the first', async () => {
    const other = await page.context().newPage();
    const requests: string[] = [];
    other.on('request', (request) => requests.push(request.url()));
    await other.goto('/');
    await expect(other.getByRole('heading', { name: 'My files' })).toBeVisible();
    await expect(other.getByRole('region', { name: 'Uploads' })).toHaveCount(0);
    expect(requests.filter((url) => url.includes('/uploads/'))).toEqual([]);
    await other.close();
  });

  await page.reload();
  await release();
  await expect(page.getByText('1 file uploaded')).toBeVisible({ timeout: 60_000 });
  expect(log.sent.slice(before).filter((block) => taken.has(block)).length).toBeLessThanOrEqual(2);
  await expect(row(page, 'kept.bin')).toContainText('40 MiB');
});

test('a thousand small files go in a few requests', async ({ page }) => {
  const folder = await inFreshFolder(page, 'Many');
  const writes: string[] = [];
  page.on('request', (request) => {
    if (request.url().includes('/uploads/')) writes.push(`${request.method()} ${new URL(request.url()).pathname}`);
  });
  const asked: string[] = [];
  page.on('request', (request) => {
    if (request.url().includes('/stat?')) asked.push(request.url());
  });
  await dropMany(page, 1000);
  await expect(page.getByText('1,000 files uploaded')).toBeVisible({ timeout: 60_000 });
  expect(new Set(writes)).toEqual(new Set(['POST /api/v1/uploads/batch']));
  expect(writes.length).toBeLessThanOrEqual(6);
  expect(asked).toEqual([]);
  await expect(page.getByText('1,000 items')).toBeVisible();
  // Only the rows in sight are in the document.
  expect(await page.getByRole('region', { name: 'Uploads' }).getByRole('listitem').count()).toBeLessThan(30);
  await dismissUploads(page);
  const path = encodeURIComponent(`/${folder}/文件 999.txt`);
  const content = await page.request.get(`/api/v1/content?path=${path}`);
  expect(await content.text()).toBe('number 999');
  const node = (await (await page.request.get(`/api/v1/stat?path=${path}`)).json()) as { modifiedAt: string };
  expect(Date.parse(node.modifiedAt)).toBe(1_700_000_000_123);
});

test('without WebCrypto, on plain http from another machine, a large file arrives all the same', async ({
  page,
}, testInfo) => {
  const elsewhere = new URL('/', testInfo.project.use.baseURL);
  elsewhere.hostname = 'drive.test';
  const path = bigFile(testInfo, 'plain.bin', 20 * mib);
  const log = await watchBlocks(page);
  const digests: unknown[] = [];
  page.on('request', (request) => {
    if (request.url().includes('/blocks/')) digests.push(request.headers()['content-digest']);
  });
  await signIn(page, elsewhere.href);
  expect(await page.evaluate(() => window.isSecureContext)).toBe(false);
  const folder = fresh('Plain');
  await createFolder(page, folder);
  await openFolder(page, folder);
  await choose(page, path);
  await expect(page.getByText('1 file uploaded')).toBeVisible({ timeout: 60_000 });
  expect([...log.sent].sort()).toEqual([0, 1, 2, 3, 4]);
  expect(new Set(digests)).toEqual(new Set([undefined]));
  await dismissUploads(page);
  expect(await downloadedSum(page, 'plain.bin')).toBe(await sumOf(path));
});

/** Drops so many small files onto the page. */
async function dropMany(page: Page, count: number): Promise<void> {
  const transfer = await page.evaluateHandle((many) => {
    const data = new DataTransfer();
    for (let n = 0; n < many; n++) {
      data.items.add(new File([`number ${n}`], `文件 ${n}.txt`, { lastModified: 1_700_000_000_123 }));
    }
    return data;
  }, count);
  const target = page.getByTestId('drop-target');
  await target.dispatchEvent('dragenter', { dataTransfer: transfer });
  await target.dispatchEvent('drop', { dataTransfer: transfer });
}

test('a folder, and a selection, come as a zip', async ({ page }) => {
  await inFreshFolder(page, 'Zip');
  await createFolder(page, 'inner');
  await openFolder(page, 'inner');
  await dropFile(page, { name: '信.txt', mimeType: 'text/plain', buffer: Buffer.from('你好') });
  await expect(page.getByText('1 file uploaded')).toBeVisible();
  await dismissUploads(page);
  await page.goBack();
  await dropFile(page, { name: 'top.txt', mimeType: 'text/plain', buffer: Buffer.from('top') });
  await expect(row(page, 'top.txt')).toBeVisible();
  await dismissUploads(page);

  const ofFolder = page.waitForEvent('download');
  await act(page, 'inner', 'Download as zip');
  expect(await unzipped(await (await ofFolder).path(), '信.txt')).toBe('你好');

  await row(page, 'inner').getByRole('checkbox').click();
  await row(page, 'top.txt').getByRole('checkbox').click();
  const ofBoth = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download as zip' }).click();
  const zip = await (await ofBoth).path();
  expect(await unzipped(zip, 'top.txt')).toBe('top');
  expect(await unzipped(zip, '信.txt')).toBe('你好');
});

/** What the one file with a name, in whatever folder of an archive, holds; by the archive's directory at its end. */
async function unzipped(zip: string, name: string): Promise<string> {
  const bytes = await readFile(zip);
  const end = bytes.lastIndexOf('PK\u0005\u0006', undefined, 'latin1');
  let at = bytes.readUInt32LE(end + 16);
  for (let left = bytes.readUInt16LE(end + 10); left > 0; left--) {
    const length = bytes.readUInt16LE(at + 28);
    const path = bytes.toString('utf8', at + 46, at + 46 + length);
    if (path.split('/').at(-1) === name) {
      const local = bytes.readUInt32LE(at + 42);
      const begin = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
      const content = bytes.subarray(begin, begin + bytes.readUInt32LE(at + 20));
      return (bytes.readUInt16LE(at + 10) === 8 ? inflateRawSync(content) : content).toString();
    }
    at += 46 + length + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
  }
  throw new Error(`no ${name} in the archive`);
}

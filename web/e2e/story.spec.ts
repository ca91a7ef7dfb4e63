import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Page } from '@playwright/test';
import {
  act,
  chooseFiles,
  createFolder,
  dismissUploads,
  dropFile,
  expect,
  fresh,
  openFolder,
  password,
  row,
  signIn,
  test,
  text,
} from './support';

test('a reader signs in, keeps files, changes their mind, and signs out', async ({ page }) => {
  const folder = fresh('Story');

  await test.step('a wrong password is refused in words', async () => {
    await page.goto('/files/somewhere');
    await expect(page).toHaveURL(/\/signin\?next=%2Ffiles%2Fsomewhere/);
    await page.getByLabel('Login').fill('admin');
    await page.getByRole('textbox', { name: 'Password' }).fill(`not ${password()}`);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await expect(page.getByRole('alert')).toHaveText('The login or the password is wrong.');
  });

  await test.step('the right one leads on to where the reader wanted to be', async () => {
    await page.getByRole('textbox', { name: 'Password' }).fill(password());
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await expect(page).toHaveURL(/\/files\/somewhere$/);
    await expect(page.getByRole('heading', { name: 'This folder does not exist' })).toBeVisible();
    await page.getByRole('link', { name: 'All files' }).click();
    await expect(page.getByRole('heading', { name: 'My files' })).toBeVisible();
  });

  await test.step('a folder', async () => {
    await createFolder(page, folder);
    await openFolder(page, folder);
    await expect(page.getByRole('heading', { name: 'Nothing here yet' })).toBeVisible();
  });

  const letter = text('letter.txt', 'Dear drive,\n你好。\n');
  const picture = { name: 'picture.png', mimeType: 'image/png', buffer: randomBytes(3 << 20) };
  await test.step('two files by the button, with progress', async () => {
    const network = await page.context().newCDPSession(page);
    await network.send('Network.emulateNetworkConditions', {
      offline: false,
      latency: 0,
      downloadThroughput: -1,
      uploadThroughput: 2 << 20,
    });
    await chooseFiles(page, [letter, picture]);
    const progress = page.getByRole('progressbar', { name: 'All uploads' });
    await expect(progress).toBeVisible();
    await expect.poll(async () => Number(await progress.getAttribute('aria-valuenow'))).toBeGreaterThan(10);
    await expect(page.getByText('2 files uploaded')).toBeVisible();
    await network.detach();
    await dismissUploads(page);
    await expect(row(page, 'letter.txt')).toBeVisible();
    await expect(row(page, 'picture.png')).toContainText('3 MiB');
  });

  await test.step('one by dropping it', async () => {
    await dropFile(page, text('dropped.md', '# Dropped\n'));
    await expect(page.getByText('1 file uploaded')).toBeVisible();
    await dismissUploads(page);
    await expect(row(page, 'dropped.md')).toBeVisible();
    await expect(page.getByText('3 items')).toBeVisible();
  });

  await test.step('the same bytes come back', async () => {
    expect(await downloaded(page, 'picture.png')).toEqual(picture.buffer);
    expect(await downloaded(page, 'letter.txt')).toEqual(letter.buffer);
  });

  await test.step('the keyboard renames', async () => {
    await row(page, 'letter.txt').click();
    await page.keyboard.press('F2');
    const name = page.getByLabel('New name');
    await expect(name).toBeFocused();
    // What is before the extension is selected, so typing replaces it alone.
    await page.keyboard.type('reply');
    await page.keyboard.press('Enter');
    await expect(row(page, 'reply.txt')).toBeVisible();
    await expect(row(page, 'letter.txt')).toHaveCount(0);
  });

  await test.step('to the trash, back, and to the trash again', async () => {
    await act(page, 'picture.png', 'Move to trash');
    await expect(row(page, 'picture.png')).toHaveCount(0);
    await page.getByRole('button', { name: 'Undo' }).click();
    await expect(row(page, 'picture.png')).toBeVisible();
    await act(page, 'picture.png', 'Move to trash');
    await expect(row(page, 'picture.png')).toHaveCount(0);
    await page.reload();
    await expect(row(page, 'reply.txt')).toBeVisible();
    await expect(row(page, 'picture.png')).toHaveCount(0);
  });

  await test.step('the page speaks Chinese, also after a reload', async () => {
    await page.getByRole('button', { name: 'Account: admin' }).click();
    await page.getByRole('menuitemradio', { name: '简体中文' }).click();
    await expect(page.getByRole('button', { name: '新建文件夹' })).toBeVisible();
    await expect(page.locator('html')).toHaveAttribute('lang', 'zh-CN');
    await page.reload();
    await expect(page.getByText('共 2 项')).toBeVisible();
  });

  await test.step('out', async () => {
    await page.getByRole('button', { name: '账户: admin' }).click();
    await page.getByRole('menuitem', { name: '退出登录' }).click();
    await expect(page).toHaveURL(/\/signin/);
    const answer = await page.request.get('/api/v1/me');
    expect(answer.status()).toBe(401);
  });
});

test('names that are taken are asked about once', async ({ page }) => {
  await signIn(page);
  const folder = fresh('Conflicts');
  await createFolder(page, folder);
  await openFolder(page, folder);
  const upload = async (content: string, policy: string) => {
    await chooseFiles(page, [text('a.txt', content), text('b.txt', content)]);
    const dialog = page.getByRole('dialog', { name: 'Some names are already taken' });
    await dialog.getByRole('radio', { name: policy }).check();
    await dialog.getByRole('button', { name: 'Upload' }).click();
    await expect(dialog).toBeHidden();
  };

  await chooseFiles(page, [text('a.txt', 'one'), text('b.txt', 'one')]);
  await expect(page.getByText('2 files uploaded')).toBeVisible();
  await dismissUploads(page);

  await upload('two', 'Keep both');
  await expect(page.getByText('4 items')).toBeVisible();
  await dismissUploads(page);

  await upload('three', 'Replace');
  await expect(page.getByText('2 files uploaded')).toBeVisible();
  await dismissUploads(page);
  expect((await downloaded(page, 'a.txt')).toString()).toBe('three');

  await upload('four', 'Skip');
  await expect(page.getByText('Skipped: already there')).toHaveCount(2);
  await dismissUploads(page);
  expect((await downloaded(page, 'a.txt')).toString()).toBe('three');
  await expect(page.getByText('4 items')).toBeVisible();

  await act(page, 'a.txt', 'Versions');
  const versions = page.getByRole('dialog', { name: 'Versions of “a.txt”' });
  await expect(versions.getByRole('listitem')).toHaveCount(2);
  const download = page.waitForEvent('download');
  await versions.getByRole('link', { name: 'Download version 1' }).click();
  expect(await readFile(await (await download).path(), 'utf8')).toBe('one');
});

test('the keyboard walks, selects, moves and restores', async ({ page }) => {
  await signIn(page);
  const folder = fresh('Keys');
  await createFolder(page, folder);
  await openFolder(page, folder);
  await chooseFiles(
    page,
    ['1.txt', '2.txt', '3.txt'].map((name) => text(name, name)),
  );
  await expect(page.getByText('3 files uploaded')).toBeVisible();
  await dismissUploads(page);
  await createFolder(page, 'inner');
  await expect(page.getByText('4 items')).toBeVisible();

  // Into the folder and up again: the keyboard stays where the reader is.
  await row(page, 'inner').focus();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'inner' })).toBeVisible();
  await page.keyboard.press('Backspace');
  await expect(row(page, 'inner')).toBeFocused();

  await page.keyboard.press('ArrowDown');
  await expect(row(page, '1.txt')).toBeFocused();
  await page.keyboard.press('Shift+ArrowDown');
  await expect(page.getByText('2 selected')).toBeVisible();
  await page.getByRole('button', { name: 'Move', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'Move 2 items' });
  await dialog.getByRole('button', { name: 'inner' }).click();
  await dialog.getByRole('button', { name: 'Move here' }).click();
  await expect(dialog).toBeHidden();
  await expect(page.getByText('2 items', { exact: true })).toBeVisible();
  await openFolder(page, 'inner');
  await expect(row(page, '1.txt')).toBeVisible();

  await row(page, '1.txt').focus();
  await page.keyboard.press('Control+a');
  await expect(page.getByText('2 selected')).toBeVisible();
  await page.keyboard.press('Delete');
  await expect(page.getByRole('heading', { name: 'Nothing here yet' })).toBeVisible();

  await page.getByRole('link', { name: 'Trash' }).click();
  const trashed = page.getByRole('row').filter({ hasText: `/${folder}/inner` });
  await expect(trashed).toHaveCount(2);
  await trashed.getByRole('button', { name: 'Restore 1.txt' }).click();
  await expect(trashed).toHaveCount(1);
  await trashed.getByRole('button', { name: 'Delete 2.txt for ever' }).click();
  await page.getByRole('button', { name: 'Delete for ever', exact: true }).click();
  await expect(trashed).toHaveCount(0);
  await page.goBack();
  await expect(row(page, '1.txt')).toBeVisible();
  await expect(row(page, '2.txt')).toHaveCount(0);
});

test('a change made elsewhere is not overwritten but shown', async ({ page }) => {
  await signIn(page);
  const folder = fresh('Stale');
  await createFolder(page, folder);
  await openFolder(page, folder);
  await chooseFiles(page, [text('mine.txt', 'x')]);
  await expect(row(page, 'mine.txt')).toBeVisible();
  await dismissUploads(page);

  const headers = { 'Gopan-Client': 'web', Origin: new URL(page.url()).origin };
  const path = encodeURIComponent(`/${folder}/mine.txt`);
  const node = (await (await page.request.get(`/api/v1/stat?path=${path}`)).json()) as { id: string; etag: string };
  const renamed = await page.request.patch(`/api/v1/files/${node.id}`, {
    headers: { ...headers, 'If-Match': node.etag },
    data: { name: 'theirs.txt' },
  });
  expect(renamed.status()).toBe(200);

  await act(page, 'mine.txt', 'Rename');
  await page.getByLabel('New name').fill('mine too.txt');
  await page.getByRole('dialog').getByRole('button', { name: 'Rename' }).click();
  await expect(page.getByRole('alert').filter({ hasText: 'It was changed in the meantime' })).toContainText('Request');
  await expect(row(page, 'theirs.txt')).toBeVisible();
});

test('a session that ends leads to the sign-in and back', async ({ page }) => {
  await signIn(page);
  const folder = fresh('Session');
  await createFolder(page, folder);
  await openFolder(page, folder);
  await page.getByRole('button', { name: 'New folder' }).first().click();
  await page.getByLabel('Name').fill('too late');
  // Last, or a listing that is read again in the background notices first.
  await page.context().clearCookies();
  await page.getByRole('button', { name: 'Create' }).click();
  await expect(page.getByText('Your session ended.')).toBeVisible();
  await page.getByLabel('Login').fill('admin');
  await page.getByRole('textbox', { name: 'Password' }).fill(password());
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByRole('heading', { name: folder })).toBeVisible();
});

test('an upload whose connection breaks is tried again; one that is refused says why', async ({ page }) => {
  await signIn(page);
  const folder = fresh('Broken');
  await createFolder(page, folder);
  await openFolder(page, folder);
  const keys: (string | undefined)[] = [];
  await page.route(/uploads\/content\?.*broken\.txt/, (route) => {
    keys.push(route.request().headers()['idempotency-key']);
    return keys.length === 1 ? route.abort('connectionreset') : route.continue();
  });
  await page.route(/uploads\/content\?.*refused\.txt/, (route) =>
    route.fulfill({
      status: 507,
      contentType: 'application/problem+json',
      json: { code: 'over_quota', title: 'Full.', requestId: 'r-507' },
    }),
  );
  // Large enough to travel alone.
  const whole = 'whole\n'.repeat(200_000);
  await chooseFiles(page, [text('broken.txt', whole), text('refused.txt', whole)]);
  await expect(page.getByText('There is not enough space left in your drive.')).toBeVisible();
  await expect(row(page, 'broken.txt')).toBeVisible();
  await expect(page.getByText('1 file did not upload')).toBeVisible();
  expect(keys).toHaveLength(2);
  expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
  expect(keys[1]).toBe(keys[0]);
  await page.unrouteAll();
  await page.getByRole('button', { name: 'Try refused.txt again' }).click();
  await expect(page.getByText('2 files uploaded')).toBeVisible();
  expect((await downloaded(page, 'broken.txt')).toString()).toBe(whole);
});

async function downloaded(page: Page, name: string): Promise<Buffer> {
  const download = page.waitForEvent('download');
  await act(page, name, 'Download');
  const file = await download;
  expect(file.suggestedFilename()).toBe(name);
  return readFile(await file.path());
}

import { randomBytes } from 'node:crypto';
import {
  test as base,
  expect,
  request,
  type APIRequestContext,
  type APIResponse,
  type Locator,
  type Page,
} from '@playwright/test';

/** The story's page: it fails when the page breaks its own Content-Security-Policy or throws. */
export const test = base.extend({
  page: async ({ page }, use) => {
    const faults: string[] = [];
    // The test's chooser answers an input, and not the dialog that hands out file handles.
    await page.addInitScript(() => Reflect.deleteProperty(window, 'showOpenFilePicker'));
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      if (/content security policy/i.test(message.text())) faults.push(message.text());
    });
    await use(page);
    expect(faults).toEqual([]);
  },
});

export { expect };

export function password(): string {
  const value = process.env.GOPAN_ADMIN_PASSWORD;
  if (!value) throw new Error('GOPAN_ADMIN_PASSWORD is the password of the login "admin"');
  return value;
}

export async function signIn(page: Page, address = '/'): Promise<void> {
  await page.goto(address);
  await fillSignIn(page, { login: 'admin', password: password() });
  await expect(page.getByRole('heading', { name: 'My files' })).toBeVisible();
}

export interface Credentials {
  login: string;
  password: string;
}

export async function fillSignIn(page: Page, { login, password: secret }: Credentials): Promise<void> {
  await page.getByLabel('Login').fill(login);
  await page.getByRole('textbox', { name: 'Password' }).fill(secret);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

export async function signOut(page: Page): Promise<void> {
  await page.getByRole('button', { name: /^Account:/ }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await expect(page).toHaveURL(/\/signin/);
}

/** Asks as the administrator, in a request that a page of the drive's own could make. */
async function administrate(ask: (administrator: APIRequestContext) => Promise<APIResponse>): Promise<void> {
  const extraHTTPHeaders = { 'Gopan-Client': 'web', Origin: address() };
  const administrator = await request.newContext({ baseURL: address(), extraHTTPHeaders });
  const entered = await administrator.post('/api/v1/auth/session', { data: { login: 'admin', password: password() } });
  expect(entered.status()).toBe(200);
  expect((await ask(administrator)).status()).toBe(200);
  await administrator.dispose();
}

/** An account that no other test uses. */
export async function newAccount(name: string): Promise<Credentials> {
  const made = {
    login: fresh(name).replaceAll(' ', '-').toLowerCase(),
    password: randomBytes(12).toString('base64url'),
  };
  await administrate((administrator) => administrator.post('/api/v1/admin/users', { data: made }));
  return made;
}

/** Decides who may make an account. */
export async function setRegistration(registration: 'closed' | 'invite' | 'sms' | 'open'): Promise<void> {
  await administrate((administrator) => administrator.put('/api/v1/admin/policy', { data: { registration } }));
}

export function address(): string {
  const value = process.env.GOPAN_URL;
  if (!value) throw new Error('GOPAN_URL says where the Gopan under test is');
  return value;
}

/** The page is not wider than the window. */
export async function expectNoOverflow(page: Page): Promise<void> {
  const wide = await page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    // What scrolls within itself on purpose, such as the breadcrumbs, does not widen the page.
    const clipped = (element: Element | null): boolean =>
      element !== null && (getComputedStyle(element).overflowX !== 'visible' || clipped(element.parentElement));
    return [...document.querySelectorAll('body *')]
      .filter((element) => {
        const box = element.getBoundingClientRect();
        return box.width > 0 && box.right > width + 1 && !clipped(element.parentElement);
      })
      .map((element) => element.outerHTML.slice(0, 120));
  });
  expect(wide).toEqual([]);
  expect(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth)).toBe(true);
}

/** A name that no other run has used. */
export function fresh(name: string): string {
  return `${name} ${randomBytes(4).toString('hex')}`;
}

export function row(page: Page, name: string): Locator {
  return page.getByRole('row').filter({ has: page.getByText(name, { exact: true }) });
}

export async function createFolder(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: 'New folder' }).first().click();
  const dialog = page.getByRole('dialog', { name: 'New folder' });
  await dialog.getByLabel('Name').fill(name);
  await dialog.getByRole('button', { name: 'Create' }).click();
  await expect(dialog).toBeHidden();
}

export async function openFolder(page: Page, name: string): Promise<void> {
  await row(page, name).getByRole('link', { name }).click();
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible();
}

export interface Upload {
  name: string;
  mimeType: string;
  buffer: Buffer;
}

export function text(name: string, content: string): Upload {
  return { name, mimeType: 'text/plain', buffer: Buffer.from(content) };
}

export async function chooseFiles(page: Page, files: Upload[]): Promise<void> {
  await page.getByRole('button', { name: 'Upload', exact: true }).first().click();
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('menuitem', { name: 'Upload files' }).click();
  await (await chooser).setFiles(files);
}

/** Drops a file onto the page as a desktop would. */
export async function dropFile(page: Page, file: Upload): Promise<void> {
  const transfer = await page.evaluateHandle(
    ({ name, type, bytes }) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], name, { type }));
      return data;
    },
    { name: file.name, type: file.mimeType, bytes: [...file.buffer] },
  );
  const target = page.getByTestId('drop-target');
  await target.dispatchEvent('dragenter', { dataTransfer: transfer });
  await expect(page.getByText('Drop to upload to')).toBeVisible();
  await target.dispatchEvent('drop', { dataTransfer: transfer });
}

/** Opens a row's menu and picks an action. */
export async function act(page: Page, name: string, action: string): Promise<void> {
  await row(page, name)
    .getByRole('button', { name: `Actions for ${name}` })
    .click();
  await page.getByRole('menuitem', { name: action, exact: true }).click();
}

export async function dismissUploads(page: Page): Promise<void> {
  const panel = page.getByRole('region', { name: 'Uploads' }).first();
  await panel.getByRole('button', { name: 'Dismiss' }).click();
  await expect(panel).toBeHidden();
}

import { createHmac } from 'node:crypto';
import type { Page } from '@playwright/test';
import { address, expect, fillSignIn, newAccount, signOut, test, type Credentials } from './support';

async function enter(page: Page, account: Credentials, path = '/account'): Promise<void> {
  await page.goto(path);
  await fillSignIn(page, account);
  await expect(page).toHaveURL(new RegExp(`${path}$`));
}

/** A code of an authenticator app (RFC 6238: SHA-1, 30 seconds, six digits). */
function totp(secret: string, at = Date.now()): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = Array.from(secret, (char) => alphabet.indexOf(char).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const mac = createHmac('sha1', key).update(counter).digest();
  const start = (mac.at(-1) ?? 0) & 15;
  return String((mac.readUInt32BE(start) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

test('who one is: what cannot be taken stands at its field, the rest is kept', async ({ page }) => {
  const account = await newAccount('profile');
  await enter(page, account);
  await page.getByLabel('Login').fill('admin');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('This login is taken.')).toBeVisible();
  await expect(page.getByLabel('Login')).toHaveAttribute('aria-invalid', 'true');

  await page.getByLabel('Login').fill(account.login);
  await page.getByLabel('Name').fill('Anna 安娜');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('Saved')).toBeVisible();
  await expect(page.getByRole('button', { name: /^Account:/ })).toContainText('Anna 安娜');
});

test('a new password signs other devices out, and only with the old one', async ({ page, browser }) => {
  const account = await newAccount('password');
  const other = await (await browser.newContext()).newPage();
  await enter(other, account, '/files');
  await enter(page, account, '/account/security');
  await page.getByRole('button', { name: 'Change the password' }).click();
  const dialog = page.getByRole('dialog', { name: 'Change the password' });
  const save = dialog.getByRole('button', { name: 'Save' });

  await dialog.getByRole('textbox', { name: 'New password' }).fill('password');
  await dialog.getByRole('textbox', { name: 'Current password' }).fill(account.password);
  await save.click();
  await expect(dialog.getByText('This password is easy to guess. Choose another one.')).toBeVisible();

  const changed = { ...account, password: `${account.password}-new` };
  await dialog.getByRole('textbox', { name: 'New password' }).fill(changed.password);
  await dialog.getByRole('textbox', { name: 'Current password' }).fill('not it');
  await save.click();
  await expect(dialog.getByText('The current password is wrong.')).toBeVisible();
  await dialog.getByRole('textbox', { name: 'Current password' }).fill(account.password);
  await save.click();
  await expect(dialog).toBeHidden();

  await other.reload();
  await expect(other).toHaveURL(/\/signin/);
  await fillSignIn(other, account);
  await expect(other.getByRole('alert')).toHaveText('The login or the password is wrong.');
  await fillSignIn(other, changed);
  await expect(other).toHaveURL(/\/files$/);
  await other.context().close();
});

test('a second factor: turned on, asked for, replaced by a recovery code, turned off', async ({ page }) => {
  const account = await newAccount('totp');
  await enter(page, account, '/account/security');
  await page.getByRole('button', { name: 'Turn on' }).click();
  await page.getByRole('textbox', { name: 'Current password' }).fill(account.password);
  await page.getByRole('button', { name: 'Next' }).click();

  const dialog = page.getByRole('dialog', { name: 'Turn on' });
  await expect(dialog.getByAltText('QR code with the key')).toBeVisible();
  const secret = await dialog.getByRole('textbox', { name: 'Key' }).inputValue();
  const right = totp(secret);
  await dialog.getByLabel('Authenticator code').fill(right === '000000' ? '000001' : '000000');
  await dialog.getByRole('button', { name: 'Turn on' }).click();
  await expect(dialog.getByText('The code of the authenticator app is wrong')).toBeVisible();
  await dialog.getByLabel('Authenticator code').fill(totp(secret));
  await dialog.getByRole('button', { name: 'Turn on' }).click();

  const codes = page.getByRole('list', { name: 'Recovery codes' }).getByRole('listitem');
  await expect(codes).toHaveCount(10);
  const code = await codes.first().innerText();
  await page.getByRole('button', { name: 'I have kept them' }).click();
  await expect(page.getByText('10 recovery codes left')).toBeVisible();

  await signOut(page);
  await fillSignIn(page, account);
  await page.getByLabel('Authenticator code').fill('12');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByText('The code of the authenticator app is wrong')).toBeVisible();
  await page.getByRole('button', { name: 'Back' }).click();
  await expect(page.getByLabel('Login')).toHaveValue(account.login);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('button', { name: 'Use a recovery code' }).click();
  await page.getByLabel('Recovery code').fill(code);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page).toHaveURL(/\/account\/security$/);
  await expect(page.getByText('9 recovery codes left')).toBeVisible();
  await page.getByRole('button', { name: 'Turn off' }).click();
  await page.getByRole('textbox', { name: 'Current password' }).fill(account.password);
  await page.getByRole('dialog').getByRole('button', { name: 'Turn off' }).click();
  await expect(page.getByRole('button', { name: 'Turn on' })).toBeVisible();
});

test('a passkey is made, signs in without a password, and is removed', async ({ page }) => {
  const account = await newAccount('passkey');
  const devices = await page.context().newCDPSession(page);
  await devices.send('WebAuthn.enable');
  await devices.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  await page.goto('/account/security');
  await fillSignIn(page, account);
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  const dialog = page.getByRole('dialog', { name: 'Add a passkey' });
  await dialog.getByLabel('Name').fill('My laptop');
  await dialog.getByRole('textbox', { name: 'Current password' }).fill(account.password);
  await dialog.getByRole('button', { name: 'Next' }).click();
  await expect(page.getByRole('listitem').filter({ hasText: 'My laptop' })).toContainText('Never used');

  await signOut(page);
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await expect(page).toHaveURL(/\/account\/security$/);
  await expect(page.getByRole('listitem').filter({ hasText: 'My laptop' })).toContainText('Last used');
  await page.getByRole('button', { name: 'Remove My laptop' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).click();
  await expect(page.getByText('No passkeys yet.')).toBeVisible();

  await signOut(page);
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await expect(page.getByRole('main').getByRole('alert')).toContainText('This passkey is not known here');
});

test('a device is named and signed out from another', async ({ page, browser }) => {
  const account = await newAccount('devices');
  const other = await (await browser.newContext()).newPage();
  await enter(other, account, '/files');
  await enter(page, account, '/account/sessions');
  const rows = page.getByRole('list', { name: 'Where you are signed in' }).getByRole('listitem');
  await expect(rows).toHaveCount(2);
  await expect(rows.filter({ hasText: 'This device' })).toHaveCount(1);

  const lost = rows.filter({ hasNotText: 'This device' });
  await lost.getByRole('button', { name: /^Rename/ }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('Lost phone');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await page.getByRole('button', { name: 'Sign Lost phone out' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Sign it out' }).click();
  await expect(rows).toHaveCount(1);
  await other.reload();
  await expect(other).toHaveURL(/\/signin/);
  await other.context().close();
});

test('a token is shown once, works, and stops when it is revoked', async ({ page, playwright }) => {
  const account = await newAccount('token');
  await enter(page, account, '/account/keys');
  await page.getByRole('button', { name: 'New app password or token' }).click();
  const dialog = page.getByRole('dialog', { name: 'New app password or token' });
  await dialog.getByLabel('Name').fill('Backup');
  await dialog.getByRole('radio', { name: 'Access token' }).check();
  await dialog.getByRole('checkbox', { name: 'Read only' }).check();
  await dialog.getByRole('textbox', { name: 'Current password' }).fill(account.password);
  await dialog.getByRole('button', { name: 'Create' }).click();
  const secret = await page.getByRole('textbox', { name: 'Access token' }).inputValue();
  await page.getByRole('button', { name: 'Done' }).click();
  await expect(page.getByRole('textbox', { name: 'Access token' })).toHaveCount(0);
  await expect(page.getByRole('listitem').filter({ hasText: 'Backup' })).toContainText('Read only');

  const program = await playwright.request.newContext({
    baseURL: address(),
    extraHTTPHeaders: { Authorization: `Bearer ${secret}` },
  });
  const who = await program.get('/api/v1/auth/whoami');
  expect(await who.json()).toMatchObject({ login: account.login });
  await page.getByRole('button', { name: 'Revoke Backup' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Revoke' }).click();
  await expect(page.getByText('No app passwords or tokens yet.')).toBeVisible();
  await expect.poll(async () => (await program.get('/api/v1/auth/whoami')).status()).toBe(401);
  await program.dispose();
});

test('what happened is listed, what is known can be taken along, and the account ended', async ({ page }) => {
  const account = await newAccount('leaver');
  await enter(page, account, '/account/activity');
  await expect(page.getByRole('listitem').filter({ hasText: 'Signed in' })).toHaveCount(1);

  await page.getByRole('link', { name: 'My data' }).click();
  const file = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download' }).click();
  expect((await file).suggestedFilename()).toMatch(/\.json$/);

  await page.getByRole('button', { name: 'Delete my account' }).click();
  const dialog = page.getByRole('dialog', { name: 'Delete your account?' });
  await dialog.getByRole('button', { name: 'Delete my account' }).click();
  await expect(dialog.getByText('Type your password.')).toBeVisible();
  await dialog.getByRole('textbox', { name: 'Current password' }).fill(account.password);
  await dialog.getByRole('button', { name: 'Delete my account' }).click();
  await expect(page).toHaveURL(/\/signin/);
  await expect(page.getByText('Your account is closed')).toBeVisible();
  await fillSignIn(page, account);
  await expect(page.getByRole('alert').filter({ hasText: 'The login or the password is wrong.' })).toBeVisible();
});

test('another site that did not let one in is explained', async ({ page }) => {
  await page.goto('/signin?problem=provider_refused');
  await expect(page.getByRole('alert')).toContainText('The other site did not let you in');
});

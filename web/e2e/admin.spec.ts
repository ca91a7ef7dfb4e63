import type { Page } from '@playwright/test';
import { expect, fillSignIn, fresh, newAccount, signIn, signOut, test } from './support';

async function administer(page: Page, link: string): Promise<void> {
  await signIn(page);
  await page.getByRole('link', { name: 'Administration' }).click();
  await page.getByRole('link', { name: link, exact: true }).click();
}

function account(page: Page, login: string) {
  return page.getByRole('list', { name: 'Accounts' }).getByRole('listitem').filter({ hasText: login });
}

async function act(page: Page, login: string, action: string): Promise<void> {
  await page.getByRole('button', { name: `Actions for ${login}`, exact: true }).click();
  await page.getByRole('menuitem', { name: action, exact: true }).click();
}

async function confirm(page: Page, action: string): Promise<void> {
  const dialog = page.getByRole('alertdialog');
  await dialog.getByRole('button', { name: action, exact: true }).click();
  await expect(dialog).toBeHidden();
}

/** The link that is on screen this once. */
async function takeLink(page: Page): Promise<string> {
  const link = await page.getByRole('textbox', { name: 'Link' }).inputValue();
  await page.getByRole('button', { name: 'Done' }).click();
  await expect(page.getByRole('textbox', { name: 'Link' })).toHaveCount(0);
  return link;
}

test('an account is made, its owner sets a password by a link that works once', async ({ page, browser }) => {
  const login = fresh('made').replaceAll(' ', '-');
  await administer(page, 'Accounts');
  await page.getByRole('button', { name: 'New account' }).click();
  const dialog = page.getByRole('dialog', { name: 'New account' });
  await dialog.getByLabel('Login').fill('a b');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await expect(dialog.getByText('A login has 2 to 64 letters')).toBeVisible();
  await dialog.getByLabel('Login').fill(login);
  await dialog.getByRole('button', { name: 'Create' }).click();
  const link = await takeLink(page);
  const token = new URL(link).hash.slice(1);
  expect(token.length).toBeGreaterThan(20);

  const person = await (await browser.newContext()).newPage();
  await person.goto(link);
  await expect(person.getByLabel('Login')).toHaveValue(login);
  await expect(person).toHaveURL(/\/welcome$/);
  await person.getByRole('textbox', { name: 'New password' }).fill('short');
  await person.getByRole('button', { name: 'Set a password' }).click();
  await expect(person.getByText('A password has 8 to 1024 characters.')).toBeVisible();
  await person.getByRole('textbox', { name: 'New password' }).fill('correct horse 电池');
  await person.getByRole('button', { name: 'Set a password' }).click();
  await expect(person.getByRole('heading', { name: 'My files' })).toBeVisible();
  expect(await person.evaluate(() => JSON.stringify([localStorage, sessionStorage, history.state]))).not.toContain(
    token,
  );

  await expect(person.getByRole('link', { name: 'All files' })).toBeVisible();
  await expect(person.getByRole('link', { name: 'Administration' })).toHaveCount(0);
  await person.goto('/admin/users');
  await expect(person.getByRole('heading', { name: 'There is no such page' })).toBeVisible();

  await signOut(person);
  await person.goto(link);
  await expect(person.getByRole('alert')).toContainText('This link is not valid any more.');
  await person.context().close();
});

test('somebody is invited and makes an account; an invitation that was withdrawn makes none', async ({
  page,
  browser,
}) => {
  const note = fresh('For Ann');
  await administer(page, 'Invitations');
  const invite = async (text: string) => {
    await page.getByRole('button', { name: 'Invite somebody' }).click();
    await page.getByRole('dialog').getByLabel('For whom').fill(text);
    await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
    return takeLink(page);
  };
  const link = await invite(note);
  const withdrawn = await invite(`${note} too`);
  await page.getByRole('button', { name: `Withdraw ${note} too`, exact: true }).click();
  await confirm(page, 'Withdraw');

  const person = await (await browser.newContext()).newPage();
  await person.goto(withdrawn);
  await expect(person.getByRole('alert')).toContainText('This link is not valid any more.');
  await person.goto(link);
  await expect(person.getByText('You are invited to this drive.')).toBeVisible();
  await person.getByLabel('Login').fill('admin');
  await person.getByRole('textbox', { name: 'Password' }).fill('correct horse 电池');
  await person.getByRole('button', { name: 'Create an account' }).click();
  await expect(person.getByText('This login is taken.')).toBeVisible();
  const login = fresh('ann').replaceAll(' ', '-');
  await person.getByLabel('Login').fill(login);
  await person.getByRole('button', { name: 'Create an account' }).click();
  await expect(person.getByRole('heading', { name: 'My files' })).toBeVisible();
  await person.context().close();

  await page.reload();
  await expect(page.getByRole('heading', { name: 'Invitations', level: 2 })).toBeVisible();
  await expect(page.getByRole('listitem').filter({ hasText: note })).toHaveCount(0);
  await page.getByRole('link', { name: 'Accounts' }).click();
  await expect(account(page, login)).toBeVisible();
});

test('an account is found, disabled, deleted, and brought back', async ({ page, browser }) => {
  const { login, password } = await newAccount('managed');
  const person = await (await browser.newContext()).newPage();
  await person.goto('/files');
  await fillSignIn(person, { login, password });
  await expect(person.getByRole('heading', { name: 'My files' })).toBeVisible();

  await administer(page, 'Accounts');
  await page.getByLabel('Search').fill(login);
  await expect(page.getByRole('list', { name: 'Accounts' }).getByRole('listitem')).toHaveCount(1);
  await act(page, login, 'Disable');
  await confirm(page, 'Disable');
  await expect(account(page, login)).toContainText('Disabled');
  await person.reload();
  await expect(person).toHaveURL(/\/signin/);

  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(account(page, login)).not.toContainText('Disabled');
  await act(page, login, 'Delete');
  await confirm(page, 'Delete');
  await expect(account(page, login)).toContainText('Erased');
  await fillSignIn(person, { login, password });
  await expect(person.getByRole('alert')).toBeVisible();
  await act(page, login, 'Bring back');
  await confirm(page, 'Bring back');
  await expect(account(page, login)).not.toContainText('Erased');
  await fillSignIn(person, { login, password });
  await expect(person.getByRole('heading', { name: 'My files' })).toBeVisible();
  await person.context().close();

  await act(page, login, 'Make administrator');
  await confirm(page, 'Make administrator');
  await expect(account(page, login)).toContainText('Administrator');
  await act(page, login, 'Activity');
  await expect(page.getByRole('list', { name: 'Events' }).getByText('The role was changed')).toBeVisible();
  await expect(page.getByRole('list', { name: 'Events' }).getByText('The account was made')).toBeVisible();
});

test('a group and who is in it', async ({ page }) => {
  const { login } = await newAccount('member');
  const name = fresh('Group');
  await administer(page, 'Groups');
  await page.getByRole('button', { name: 'New group' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill(name);
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await page.getByRole('button', { name: `Members of ${name}` }).click();
  const dialog = page.getByRole('dialog', { name: `Members of ${name}` });
  await dialog
    .getByRole('combobox', { name: 'Add somebody' })
    .or(dialog.getByLabel('Add somebody'))
    .first()
    .fill(login);
  await page.getByRole('option', { name: login }).click();
  await expect(dialog.getByRole('listitem').filter({ hasText: login })).toBeVisible();
  await dialog.getByRole('button', { name: 'Done' }).click();
  await expect(page.getByRole('listitem').filter({ hasText: name })).toContainText('1 member');

  await page.getByRole('button', { name: `Members of ${name}` }).click();
  await dialog.getByRole('button', { name: `Remove ${login}` }).click();
  await expect(dialog.getByText('Nobody is in it yet.')).toBeVisible();
  await dialog.getByRole('button', { name: 'Done' }).click();
  await page.getByRole('button', { name: `Delete the group ${name}` }).click();
  await confirm(page, 'Delete the group');
  await expect(page.getByRole('listitem').filter({ hasText: name })).toHaveCount(0);
});

test('who may register is decided here, and is what the sign-in offers', async ({ page, browser }) => {
  const choose = async (policy: string) => {
    await page.getByRole('radio', { name: policy, exact: true }).check();
    await page.getByRole('button', { name: 'Save' }).click();
    await expect(page.getByRole('button', { name: 'Save' })).toBeDisabled();
  };
  await administer(page, 'Registration');
  await choose('Anybody');
  const person = await (await browser.newContext()).newPage();
  await person.goto('/signin');
  await person.getByRole('link', { name: 'Create an account' }).click();
  await expect(person.getByRole('heading', { name: 'Create an account' })).toBeVisible();
  await person.getByLabel('Login').fill(fresh('anybody').replaceAll(' ', '-'));
  await person.getByRole('textbox', { name: 'Password' }).fill('correct horse 电池');
  await person.getByRole('button', { name: 'Create an account' }).click();
  await expect(person.getByRole('heading', { name: 'My files' })).toBeVisible();
  await signOut(person);

  await choose('Who was invited');
  await person.goto('/signin');
  await expect(person.getByRole('button', { name: 'Sign in', exact: true })).toBeVisible();
  await person.goto('/register');
  await expect(person.getByText('No accounts can be made here.')).toBeVisible();
  await person.context().close();
});

test('the log is filtered and taken along', async ({ page }) => {
  await administer(page, 'Audit log');
  await page.getByRole('combobox', { name: 'Kind' }).or(page.getByLabel('Kind')).first().click();
  await page.getByRole('option', { name: 'Sign-in' }).click();
  await expect(page).toHaveURL(/kind=signin/);
  const list = page.getByRole('list', { name: 'Events' }).getByRole('listitem');
  await expect(list.first()).toContainText(/Signed in|sign-in/);
  const file = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download as JSON lines' }).click();
  const download = await file;
  expect(download.suggestedFilename()).toBe('gopan-events.ndjson');
  const stream = await download.createReadStream();
  const lines = (await stream.toArray()).join('').trim().split('\n');
  for (const line of lines) expect(line).toMatch(/"action":"signin\./);
});

test('a quota is changed where the storage is seen, and holds', async ({ page }) => {
  const { login } = await newAccount('quota');
  await administer(page, 'Accounts');
  await page.getByLabel('Search').fill(login);
  await act(page, login, 'Quota');
  const dialog = page.getByRole('dialog', { name: `Quota of ${login}` });
  await dialog.getByRole('textbox', { name: 'Quota' }).fill('none');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByText('Give a number above 0, or nothing.')).toBeVisible();
  await dialog.getByRole('textbox', { name: 'Quota' }).fill('1.5');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog).toBeHidden();

  await page.getByRole('link', { name: 'Storage', exact: true }).click();
  const line = page.getByRole('list', { name: 'Storage' }).getByRole('listitem').filter({ hasText: login });
  await expect(line).toContainText('0 B of 1.5 GiB used · 0 files');
  await line.getByRole('button', { name: `Quota of ${login}` }).click();
  await expect(dialog.getByRole('textbox', { name: 'Quota' })).toHaveValue('1.5');
  await dialog.getByRole('textbox', { name: 'Quota' }).fill('');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(line).toContainText('0 B used');

  await page.getByRole('link', { name: 'Audit log' }).click();
  await expect(page.getByRole('list', { name: 'Events' }).getByRole('listitem').first()).toContainText(
    'A quota was changed',
  );
});

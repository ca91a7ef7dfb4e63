import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { expect, expectNoOverflow, fillSignIn, fresh, newAccount, setRegistration, signOut, test } from './support';

/** A phone of nobody's that no other test uses. */
const newPhone = () => `138${String(randomInt(100_000_000)).padStart(8, '0')}`;

/** The code that was printed for a phone where the drive was started. */
async function codeFor(phone: string): Promise<string> {
  const log = process.env.GOPAN_LOG;
  if (!log) throw new Error('GOPAN_LOG is where the drive under test prints codes');
  const printed = () => new RegExp(`^SMS \\+86${phone}: (\\d{6}) `, 'm').exec(readFileSync(log, 'utf8'))?.[1];
  await expect.poll(printed).toBeTruthy();
  return printed() ?? '';
}

/** Allows what a site asks for as somebody who has an account there; a fault goes wrong at the site. */
async function allow(page: Page, person: { id: number; login: string; name: string; fault?: string; step?: string }) {
  await expect(page.getByRole('heading', { name: 'Sign in by the test site' })).toBeVisible();
  await page.locator('input[name=id]').fill(String(person.id));
  await page.locator('input[name=login]').fill(person.login);
  await page.locator('input[name=name]').fill(person.name);
  await page.locator('select[name=fault]').selectOption(person.fault ?? '');
  await page.locator('select[name=step]').selectOption(person.step ?? 'token');
  await page.getByRole('button', { name: /^Allow/ }).click();
}

const myFiles = (page: Page) => page.getByRole('heading', { name: 'My files' });

test.beforeAll(() => setRegistration('sms'));

test('what was typed before the ways to sign in are known stays', async ({ page }) => {
  let answer: () => void = () => undefined;
  const typed = new Promise<void>((resolve) => (answer = resolve));
  await page.route('**/api/v1/auth/methods', async (route) => {
    await typed;
    await route.continue();
  });
  await page.goto('/signin');
  await page.getByLabel('Login').fill('somebody');
  answer();
  await expect(page.getByRole('tab', { name: 'SMS code' })).toBeVisible();
  await expect(page.getByLabel('Login')).toHaveValue('somebody');
});

test('a first sign-in by SMS takes two requests and one screen', async ({ page }) => {
  const phone = newPhone();
  const sent: string[] = [];
  page.on('request', (request) => {
    if (request.method() === 'POST') sent.push(new URL(request.url()).pathname);
  });
  await page.goto('/signin');
  await page.getByText('SMS code', { exact: true }).click();
  await page.getByLabel('Phone').fill('123');
  await page.getByRole('button', { name: 'Get a code' }).click();
  await expect(page.getByLabel('Phone')).toHaveAttribute('aria-invalid', 'true');
  sent.length = 0;

  await page.getByLabel('Phone').fill(phone);
  await page.getByRole('button', { name: 'Get a code' }).click();
  await expect(page.getByRole('status')).toContainText(phone);
  await expect(page.getByRole('textbox', { name: 'Code' })).toBeFocused();
  await page.getByRole('textbox', { name: 'Code' }).fill(await codeFor(phone));
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(myFiles(page)).toBeVisible();
  expect(sent).toEqual(['/api/v1/auth/sms/code', '/api/v1/auth/session']);
  await page.goto('/account');
  await expect(page.getByText(`+86138****${phone.slice(-4)}`)).toBeVisible();
});

test('a wrong code stands at its field, and the right one still works', async ({ page }) => {
  const phone = newPhone();
  await page.goto('/signin');
  await page.getByText('SMS code', { exact: true }).click();
  await page.getByLabel('Phone').fill(phone);
  await page.getByRole('button', { name: 'Get a code' }).click();
  const code = await codeFor(phone);
  await page.getByRole('textbox', { name: 'Code' }).fill(code === '000000' ? '000001' : '000000');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByRole('textbox', { name: 'Code' })).toHaveAttribute('aria-invalid', 'true');
  await page.getByRole('textbox', { name: 'Code' }).fill(code);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(myFiles(page)).toBeVisible();
});

for (const { site, title } of [
  { site: 'like GitHub', title: 'GitHub' },
  { site: 'of OpenID Connect', title: 'Company' },
]) {
  test(`a site ${site}: who comes again is the same, whatever they are called now`, async ({ page }) => {
    const id = randomInt(1, 1_000_000_000);
    const enter = async (person: { login: string; name: string; fault?: string; step?: string }) => {
      await page.getByRole('link', { name: `Continue with ${title}` }).click();
      await allow(page, { id, ...person });
    };
    await page.goto('/signin?next=/account');
    await enter({ login: 'octocat', name: 'Mona 莫娜' });
    await expect(page).toHaveURL(/\/account$/);
    await expect(page.getByLabel('Name')).toHaveValue('Mona 莫娜');
    const login = await page.getByLabel('Login').inputValue();

    await signOut(page);
    await page.goto('/signin?next=/account');
    await enter({ login: 'renamed', name: '' });
    await expect(page.getByLabel('Login')).toHaveValue(login);

    // Nobody else has the account for taking its names over.
    await signOut(page);
    await page.goto('/signin?next=/account');
    await page.getByRole('link', { name: `Continue with ${title}` }).click();
    await allow(page, { id: id + 1, login: 'octocat', name: 'Mona 莫娜' });
    await expect(page).toHaveURL(/\/account$/);
    await expect(page.getByLabel('Login')).not.toHaveValue(login);
  });

  test(`a site ${site} that fails is told about, and nobody is in`, async ({ page }) => {
    const id = randomInt(1, 1_000_000_000);
    for (const fault of ['html', 'refuse', 'down', 'echo', 'huge', 'hang']) {
      await page.goto('/signin');
      await page.getByRole('link', { name: `Continue with ${title}` }).click();
      await allow(page, { id, login: 'octocat', name: '', fault });
      // A site that does not answer is given up after ten seconds.
      await expect(page).toHaveURL(/\/signin/, { timeout: 20_000 });
      await expect(page.getByRole('alert')).toContainText(
        fault === 'refuse' ? 'did not let you in' : 'The other site does not answer',
      );
    }
    await page.getByRole('link', { name: `Continue with ${title}` }).click();
    await page.getByRole('button', { name: 'Deny' }).click();
    await expect(page.getByRole('alert')).toContainText('did not let you in');
    await expectNoOverflow(page);
  });
}

test('an account elsewhere is linked, opens this one, belongs to nobody else, and is unlinked', async ({ page }) => {
  const account = await newAccount('linked');
  const person = { id: randomInt(1, 1_000_000_000), login: fresh('cat'), name: '' };
  const link = async (secret: string) => {
    await page.getByRole('button', { name: 'Link GitHub' }).click();
    await page.getByRole('textbox', { name: 'Current password' }).fill(secret);
    await page.getByRole('button', { name: 'Next' }).click();
    await allow(page, person);
    await expect(page).toHaveURL(/\/account\/security/);
  };
  await page.goto('/account/security');
  await fillSignIn(page, account);
  await link(account.password);
  const linked = page.getByRole('list', { name: 'Other sites' }).getByRole('listitem').filter({ hasText: 'GitHub' });
  await expect(linked).toContainText(person.login);

  await signOut(page);
  await page.goto('/signin?next=/account');
  await page.getByRole('link', { name: 'Continue with GitHub' }).click();
  await allow(page, person);
  await expect(page.getByLabel('Login')).toHaveValue(account.login);

  await signOut(page);
  const other = await newAccount('other');
  await page.goto('/account/security');
  await fillSignIn(page, other);
  await link(other.password);
  await expect(page.getByRole('alert')).toBeVisible();
  await expect(linked).toBeHidden();

  await signOut(page);
  await page.goto('/account/security');
  await fillSignIn(page, account);
  await linked.getByRole('button', { name: 'Unlink GitHub' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Unlink' }).click();
  await expect(linked).toBeHidden();
});

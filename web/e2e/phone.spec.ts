import {
  chooseFiles,
  createFolder,
  expect,
  expectNoOverflow,
  fresh,
  openFolder,
  row,
  signIn,
  test,
  text,
} from './support';

test.use({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });

test('the drive fits a phone', async ({ page }) => {
  await page.goto('/signin');
  await expect(page.getByRole('button', { name: 'Sign in', exact: true })).toBeVisible();
  await expectNoOverflow(page);
  await signIn(page);
  await expectNoOverflow(page);

  const folder = fresh('A folder whose name is too long for any phone that one can hold');
  const long = `${'a very long name '.repeat(8)}.txt`;
  await createFolder(page, folder);
  await openFolder(page, folder);
  await chooseFiles(page, [text(long, 'x'), text('short.txt', 'y')]);
  await expect(page.getByText('2 files uploaded')).toBeVisible();
  await expectNoOverflow(page);
  await page.getByRole('button', { name: 'Dismiss' }).tap();

  // The table is a list: no head, size and time below the name.
  await expect(page.getByRole('columnheader', { name: 'Name' })).toBeHidden();
  await expect(row(page, 'short.txt')).toContainText('1 B');
  await row(page, 'short.txt').getByText('short.txt').tap();
  await expect(page.getByRole('menuitem', { name: 'Download' })).toBeVisible();
  await expectNoOverflow(page);
  await page.getByRole('menuitem', { name: 'Rename' }).tap();
  await expect(page.getByLabel('New name')).toHaveValue('short.txt');
  await expectNoOverflow(page);
  await page.getByRole('button', { name: 'Cancel' }).tap();

  await row(page, 'short.txt').getByRole('checkbox').tap();
  await expect(page.getByText('1 selected')).toBeVisible();
  await expectNoOverflow(page);
  await page.getByRole('button', { name: 'Clear the selection' }).tap();

  await page.getByRole('button', { name: 'Open the menu' }).tap();
  await page.getByRole('link', { name: 'Trash' }).tap();
  await expect(page.getByRole('heading', { name: 'Trash', level: 1 })).toBeVisible();
  await expectNoOverflow(page);
});

// The smallest phones that are still sold.
test.describe('on 360 px', () => {
  test.use({ viewport: { width: 360, height: 740 } });

  for (const address of [
    '/account',
    '/account/security',
    '/account/sessions',
    '/account/keys',
    '/account/activity',
    '/account/data',
    '/admin/users',
    '/admin/invites',
    '/admin/groups',
    '/admin/storage',
    '/admin/policy',
    '/admin/events',
  ]) {
    test(`${address} fits`, async ({ page }) => {
      await signIn(page);
      await page.goto(address);
      await expect(page.getByRole('heading', { level: 2 }).first()).toBeVisible();
      await expect(page.locator('[aria-busy]')).toHaveCount(0);
      await expectNoOverflow(page);
    });
  }
});

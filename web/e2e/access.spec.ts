import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { act, chooseFiles, createFolder, expect, fresh, openFolder, row, signIn, test, text } from './support';

const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

async function expectAccessible(page: Page): Promise<void> {
  // A transition that is under way mixes colours that nobody reads.
  await page.waitForFunction(() => document.getAnimations().every((animation) => animation.playState !== 'running'));
  const { violations } = await new AxeBuilder({ page }).withTags(rules).analyze();
  expect(violations.map(({ id, nodes }) => ({ id, where: nodes.map((node) => node.html) }))).toEqual([]);
}

for (const colorScheme of ['light', 'dark'] as const) {
  test.describe(`${colorScheme} pages pass WCAG AA`, () => {
    test.use({ colorScheme, contextOptions: { reducedMotion: 'reduce' } });

    test('sign-in', async ({ page }) => {
      await page.goto('/signin');
      await expect(page.locator('html')).toHaveAttribute('data-mantine-color-scheme', colorScheme);
      await expect(page.getByRole('button', { name: 'Sign in', exact: true })).toBeVisible();
      await expectAccessible(page);
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
      await expect(page.getByText('Type your login.')).toBeVisible();
      await expectAccessible(page);
    });

    test('explorer, its menus and dialogs, and the trash', async ({ page }) => {
      await signIn(page);
      const folder = fresh('Access');
      await createFolder(page, folder);
      await openFolder(page, folder);
      await expectAccessible(page);
      await chooseFiles(page, [text('a.txt', 'a'), text('b.pdf', 'b'), text('c.mp3', 'c')]);
      await expect(page.getByText('3 files uploaded')).toBeVisible();
      await expect(row(page, 'c.mp3')).toBeVisible();
      await expectAccessible(page);
      await row(page, 'a.txt').getByRole('checkbox').click();
      await expect(page.getByText('1 selected')).toBeVisible();
      await expectAccessible(page);
      await row(page, 'b.pdf').getByRole('button', { name: 'Actions for b.pdf' }).click();
      await expect(page.getByRole('menuitem', { name: 'Move to trash' })).toBeVisible();
      await expectAccessible(page);
      await page.keyboard.press('Escape');
      await act(page, 'b.pdf', 'Rename');
      await expect(page.getByRole('dialog')).toBeVisible();
      await expectAccessible(page);
      await page.keyboard.press('Escape');
      await act(page, 'c.mp3', 'Move to trash');
      await expect(page.getByRole('button', { name: 'Undo' })).toBeVisible();
      await expectAccessible(page);
      await page.getByRole('link', { name: 'Trash' }).click();
      await expect(row(page, 'c.mp3').first()).toBeVisible();
      await expectAccessible(page);
    });

    test("one's own account, its lists and dialogs", async ({ page }) => {
      await signIn(page);
      await page.goto('/account');
      await expect(page.getByLabel('Login')).toHaveValue('admin');
      await expectAccessible(page);
      await page.getByRole('link', { name: 'Security' }).click();
      await page.getByRole('button', { name: 'Change the password' }).click();
      await expect(page.getByRole('textbox', { name: 'Current password' })).toBeVisible();
      await page.getByRole('button', { name: 'Save' }).click();
      await expect(page.getByText('Type your password.').first()).toBeVisible();
      await expectAccessible(page);
      await page.keyboard.press('Escape');
      await page.getByRole('link', { name: 'Devices' }).click();
      await expect(page.getByText('This device')).toBeVisible();
      await expectAccessible(page);
      await page.getByRole('link', { name: 'App passwords and tokens' }).click();
      await page.getByRole('button', { name: 'New app password or token' }).click();
      await page.getByRole('checkbox', { name: 'One folder only' }).check();
      await expect(page.getByRole('list', { name: 'Folders in My files' })).toBeVisible();
      await expectAccessible(page);
      await page.keyboard.press('Escape');
      await page.getByRole('link', { name: 'Activity' }).click();
      await expect(page.getByText('Signed in').first()).toBeVisible();
      await expectAccessible(page);
      await page.getByRole('link', { name: 'My data' }).click();
      await page.getByRole('button', { name: 'Delete my account' }).click();
      await expect(page.getByRole('dialog')).toBeVisible();
      await expectAccessible(page);
    });

    test('administration, its lists and dialogs', async ({ page }) => {
      await signIn(page);
      await page.getByRole('link', { name: 'Administration' }).click();
      await page.getByRole('button', { name: 'Actions for admin', exact: true }).click();
      await expect(page.getByRole('menuitem', { name: 'Change the name' })).toBeVisible();
      await expectAccessible(page);
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'New account' }).click();
      await expect(page.getByRole('dialog')).toBeVisible();
      await expectAccessible(page);
      await page.keyboard.press('Escape');
      await page.getByRole('link', { name: 'Invitations' }).click();
      await page.getByRole('button', { name: 'Invite somebody' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
      await expect(page.getByRole('textbox', { name: 'Link' })).toBeVisible();
      await expectAccessible(page);
      await page.getByRole('button', { name: 'Done' }).click();
      await expectAccessible(page);
      for (const [link, heading] of [
        ['Groups', 'Groups'],
        ['Registration', 'Who may make an account'],
        ['Audit log', 'Audit log'],
      ] as const) {
        await page.getByRole('link', { name: link }).click();
        await expect(page.getByRole('heading', { name: heading, level: 2 })).toBeVisible();
        await expect(page.locator('[aria-busy]')).toHaveCount(0);
        await expectAccessible(page);
      }
    });
  });
}

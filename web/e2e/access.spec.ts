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
      await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible();
      await expectAccessible(page);
      await page.getByRole('button', { name: 'Sign in' }).click();
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
  });
}

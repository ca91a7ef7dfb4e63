import type { Page } from '@playwright/test';
import { expect, signIn, test } from './support';

const count = 100_000;

/** Answers for one folder as a drive with very many files would; everything else is the real server's. */
async function serveLargeFolder(page: Page): Promise<void> {
  const node = (name: string, kind: 'file' | 'folder') => ({
    id: `large-${name}`,
    path: `/large/${name}`,
    name,
    kind,
    size: kind === 'file' ? 1234 : 0,
    etag: '"1"',
    createdAt: '2026-01-02T03:04:05Z',
    modifiedAt: '2026-01-02T03:04:05Z',
  });
  await page.route(/\/api\/v1\/files\?.*path=%2Flarge/, (route) => {
    const query = new URL(route.request().url()).searchParams;
    const from = Number(query.get('cursor') ?? 0);
    const to = Math.min(count, from + Number(query.get('limit')));
    const items = Array.from({ length: to - from }, (_, n) => node(`${from + n}.bin`, 'file'));
    return route.fulfill({
      json: { folder: node('', 'folder'), items, total: count, ...(to < count && { nextCursor: String(to) }) },
    });
  });
}

test('a folder of 100,000 files scrolls from its first to its last, and is selected whole', async ({ page }) => {
  await signIn(page);
  await serveLargeFolder(page);
  await page.goto('/files/large');
  await expect(page.getByText('100,000 items')).toBeVisible();
  await expect(page.getByText('0.bin', { exact: true })).toBeVisible();
  const grid = page.getByRole('grid');
  await expect(grid).toHaveAttribute('aria-rowcount', String(count + 1));

  const scroller = grid.getByRole('rowgroup').nth(1);
  await scroller.evaluate((element) => element.scrollTo(0, element.scrollHeight));
  await expect(page.getByText('99999.bin', { exact: true })).toBeVisible({ timeout: 20_000 });
  expect(await page.getByRole('row').count()).toBeLessThan(80);

  await page.getByRole('checkbox', { name: 'Select all' }).click();
  await expect(page.getByText('100,000 selected')).toBeVisible();
  await page.keyboard.press('Tab');
  await page.getByRole('button', { name: 'Clear the selection' }).click();
  await expect(page.getByText('100,000 items')).toBeVisible();
});

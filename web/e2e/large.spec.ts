import type { Page } from '@playwright/test';
import { expect, signIn, test } from './support';

const count = 100_000;

/**
 * Answers for one folder as a drive with very many files would; everything else is the real server's. It answers
 * within the page, as carrying a hundred thousand entries through the test's own channel takes longer than all else.
 */
async function serveLargeFolder(page: Page): Promise<void> {
  await page.addInitScript((total) => {
    const real = window.fetch.bind(window);
    const node = (n: number) => ({
      id: `large-${n}`,
      path: `/large/${n}.bin`,
      name: `${n}.bin`,
      kind: 'file',
      size: n,
      etag: '"1"',
      createdAt: '2026-01-02T03:04:05Z',
      modifiedAt: '2026-01-02T03:04:05Z',
    });
    window.fetch = (input, init) => {
      const url = new URL(input instanceof Request ? input.url : input, location.href);
      if (url.pathname !== '/api/v1/files' || url.searchParams.get('path') !== '/large') return real(input, init);
      const from = Number(url.searchParams.get('cursor') ?? 0);
      const to = Math.min(total, from + Number(url.searchParams.get('limit')));
      const items = Array.from({ length: to - from }, (_, n) => node(from + n));
      const folder = { ...node(0), path: '/large', name: 'large', kind: 'folder' };
      return Promise.resolve(Response.json({ folder, items, total, ...(to < total && { nextCursor: String(to) }) }));
    };
  }, count);
}

test('a folder of 100,000 files scrolls from its first to its last, and is selected whole', async ({ page }) => {
  test.slow();
  await serveLargeFolder(page);
  await signIn(page);
  await page.goto('/files/large');
  await expect(page.getByText('100,000 items')).toBeVisible();
  await expect(page.getByText('0.bin', { exact: true })).toBeVisible();
  const grid = page.getByRole('grid');
  await expect(grid).toHaveAttribute('aria-rowcount', String(count + 1));

  const scroller = grid.getByRole('rowgroup').nth(1);
  await scroller.evaluate((element) => element.scrollTo(0, element.scrollHeight));
  await expect(page.getByText('99999.bin', { exact: true })).toBeVisible({ timeout: 60_000 });
  expect(await page.getByRole('row').count()).toBeLessThan(80);

  await page.getByRole('checkbox', { name: 'Select all' }).click();
  await expect(page.getByText('100,000 selected')).toBeVisible();
  await page.getByRole('button', { name: 'Clear the selection' }).click();
  await expect(page.getByText('100,000 items')).toBeVisible();
});

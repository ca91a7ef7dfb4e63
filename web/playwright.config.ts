import { defineConfig } from '@playwright/test';

const base = process.env.GOPAN_URL;
if (!base) throw new Error('GOPAN_URL says where the Gopan under test is, such as http://127.0.0.1:8080');

export default defineConfig({
  testDir: 'e2e',
  // One server, one account: the stories run one after another.
  workers: 1,
  // Generous: a machine that builds something else at the same time is slow, not wrong.
  timeout: 120_000,
  expect: { timeout: 10_000 },
  forbidOnly: Boolean(process.env.CI),
  reporter: [['list']],
  outputDir: 'test-results',
  use: {
    baseURL: base,
    viewport: { width: 1280, height: 800 },
    locale: 'en-US',
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        // A name of another machine for the same server: plain http from there is no secure context.
        '--host-resolver-rules=MAP drive.test 127.0.0.1',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
});

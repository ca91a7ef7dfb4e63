import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [react()],
  server: {
    host: '127.0.0.1',
    port: 5173,
    // GOPAN_URL points the development server at another Gopan than the default one.
    proxy: { '/api': { target: process.env.GOPAN_URL ?? 'http://127.0.0.1:8080' } },
  },
  build: {
    outDir: 'dist',
    // public/.gitkeep brings dist/.gitkeep back after the folder was emptied: Go's embed needs the folder in git.
    emptyOutDir: true,
    // The page's Content-Security-Policy allows no inline script and no data: font.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000,
  },
  test: {
    environment: 'node',
    include: ['src/**/*.test.ts'],
  },
});

import { defineConfig } from 'vitest/config';

/** Real client programs, installed at pinned versions, through the built Relay: `npm run test:clients`. */
export default defineConfig({
  test: {
    include: ['test/clients-e2e/**/*.test.ts'],
    testTimeout: 180_000,
    hookTimeout: 60_000,
    // Each client is a whole program: one after another, so that a small machine keeps its deadlines.
    fileParallelism: false,
  },
});

import { defineConfig } from 'vitest/config'

/** `npm run test:compose`: the image and docker-compose.yml on a Docker engine; without one it fails. */
export default defineConfig({
  test: {
    include: ['test/compose/*.test.ts'],
    // Building and pulling.
    hookTimeout: 600_000,
    testTimeout: 180_000,
    fileParallelism: false,
  },
})

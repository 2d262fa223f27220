import { defineConfig } from 'vitest/config'
import base from './vitest.config.js'

// They need what the other tests do not: Chromium.
export default defineConfig({ test: { ...base.test, include: ['test/browser/**/*.browser.ts'], globalSetup: ['test/browser/need-chromium.ts', 'test/support/global-setup.ts'], testTimeout: 120_000 } })

import { defineConfig } from 'vitest/config'
import base from './vitest.config.js'

// They need what the other tests do not: Python with Django and Flask.
export default defineConfig({ test: { ...base.test, include: ['test/examples/**/*.example.ts'] } })

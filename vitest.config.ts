import { defineConfig } from "vitest/config";

// unit: no processes, no network beyond loopback. integration: the real control plane.
// tidy: the house rules as tests; it runs under `npm run check`.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/integration/**", "test/e2e/**", "test/tidy.test.ts"],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          // After the unit tests, three files at a time: each has a control plane of its own and mostly waits.
          sequence: { groupOrder: 1 },
          maxWorkers: 3,
          // A shared machine may stall a whole control plane for seconds; what fails twice more is no stall.
          retry: process.env["CI"] ? 2 : 0,
          testTimeout: 240_000,
          hookTimeout: 180_000,
        },
      },
      {
        // Containers; `npm run e2e`, not part of `npm test`.
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          sequence: { groupOrder: 2 },
          maxWorkers: 1,
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
      { test: { name: "tidy", include: ["test/tidy.test.ts"] } },
    ],
  },
});

import { defineConfig } from "vitest/config";

/** Tests against other people's programs, which they install or build for themselves. */
const PEERS = [
  "alerts-live",
  "chart",
  "fence-agents",
  "fence-agents-findings",
  "fence-agents-pdu",
  "promtool",
  "redfish-sushy",
  "report-browser",
].map((name) => `test/integration/${name}.test.ts`);

/** On the real control plane, three files at a time: each has one of its own and mostly waits. */
const onControlPlane = {
  maxWorkers: 3,
  // A shared machine may stall a whole control plane for seconds; what fails twice more is no stall.
  retry: process.env["CI"] ? 2 : 0,
  testTimeout: 240_000,
  hookTimeout: 180_000,
};

// unit: no processes, no network beyond loopback. integration: the real control plane. peers: that, and other people's
// programs. e2e: containers. tidy: the house rules as tests; it runs under `npm run check`.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/integration/**", "test/e2e/**", "test/tidy.test.ts"],
          maxWorkers: 2,
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          exclude: PEERS,
          // After the unit tests.
          sequence: { groupOrder: 1 },
          ...onControlPlane,
        },
      },
      {
        // `npm run test:peers`, not part of `npm test`.
        test: {
          name: "peers",
          include: PEERS,
          sequence: { groupOrder: 2 },
          ...onControlPlane,
        },
      },
      {
        // Containers; `npm run e2e`, not part of `npm test`.
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          sequence: { groupOrder: 3 },
          maxWorkers: 1,
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
      { test: { name: "tidy", include: ["test/tidy.test.ts"], testTimeout: 60_000 } },
    ],
  },
});

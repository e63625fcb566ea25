// FailoverDrills that are right, and ones that are wrong in one place: part of the table in bad-inputs.ts.
import { API_VERSION } from "../../src/api/kind.ts";
import type { BadInput, Fields, Manifest } from "./bad-inputs.ts";

export function drillWith(spec: Fields): Manifest {
  return {
    apiVersion: API_VERSION,
    kind: "FailoverDrill",
    metadata: { name: "db" },
    spec: { type: "LiveMigration", virtualMachine: { namespace: "prod", name: "db" }, ...spec },
  };
}

export function nodeDrillWith(spec: Fields): Manifest {
  const { metadata, ...rest } = drillWith({});
  return { ...rest, metadata, spec: { type: "NodeLoss", nodeName: "node-1", ...spec } };
}

const probeWith = (probe: Fields): Manifest =>
  drillWith({ probes: [{ name: "p", type: "UDP", port: 7, ...probe }] });

export const BAD_DRILLS: readonly BadInput[] = [
  {
    what: "a drill of an unknown type",
    manifest: nodeDrillWith({ type: "Earthquake" }),
    path: "spec.type",
    allows: '"LiveMigration", "NodeEvacuation", "NodeLoss"',
  },
  {
    what: "a migration drill without a VM",
    manifest: { ...drillWith({}), spec: { type: "LiveMigration" } },
    path: "spec.virtualMachine",
    allows: "must be given with type LiveMigration, and with no other",
  },
  {
    what: "a node drill with a VM",
    manifest: nodeDrillWith({ virtualMachine: { namespace: "prod", name: "db" } }),
    path: "spec.virtualMachine",
    allows: "must be given with type LiveMigration, and with no other",
  },
  {
    what: "a node drill without a node",
    manifest: { ...nodeDrillWith({}), spec: { type: "NodeEvacuation" } },
    path: "spec.nodeName",
    allows: "must be given with type NodeEvacuation or NodeLoss, and with no other",
  },
  {
    what: "a migration drill with a node",
    manifest: drillWith({ nodeName: "node-1" }),
    path: "spec.nodeName",
    allows: "must be given with type NodeEvacuation or NodeLoss, and with no other",
  },
  {
    what: "a drill without runs",
    manifest: drillWith({ runs: 0 }),
    path: "spec.runs",
    allows: "must be from 1 to 50",
  },
  {
    what: "a drill of 51 runs",
    manifest: drillWith({ runs: 51 }),
    path: "spec.runs",
    allows: "less than or equal to 50",
  },
  {
    what: "a drill every millisecond",
    manifest: drillWith({ interval: "1ms" }),
    path: "spec.interval",
    allows: "must be a duration from 1s to 24h",
  },
  {
    what: "a drill that waits for a week",
    manifest: drillWith({ startTimeout: "168h" }),
    path: "spec.startTimeout",
    allows: "must be a duration from 0s to 24h",
  },
  {
    what: "a promise to be back in no time",
    manifest: drillWith({ promise: { recoveryTime: "0s" } }),
    path: "spec.promise.recoveryTime",
    allows: "must be a duration from 1ms to 2h",
  },
  {
    what: "an outage budget in percent",
    manifest: drillWith({ promise: { outageBudget: "1%" } }),
    path: "spec.promise.outageBudget",
    allows: "must be a duration from 1ms to 2h",
  },
  {
    what: "a schedule without days",
    manifest: drillWith({ schedule: { days: [], at: "03:30" } }),
    path: "spec.schedule.days",
    allows: "should have at least 1 items",
  },
  {
    what: "a schedule at the end of the day, which is no beginning",
    manifest: drillWith({ schedule: { days: ["Sun"], at: "24:00" } }),
    path: "spec.schedule.at",
    allows: "must be a time of day like 08:00, from 00:00 to 23:59",
  },
  {
    what: "a schedule in a time zone that nobody knows",
    manifest: drillWith({ schedule: { days: ["Sun"], at: "03:30", timeZone: "Mars/Olympus" } }),
    path: "spec.schedule.timeZone",
    allows: "must be the name of an IANA time zone that is known",
  },
  {
    what: "a probe at port 0",
    manifest: probeWith({ port: 0 }),
    path: "spec.probes[0].port",
    allows: "must be a port from 1 to 65535",
  },
  {
    what: "a probe at a rate between those there are",
    manifest: probeWith({ packetsPerSecond: 50 }),
    path: "spec.probes[0].packetsPerSecond",
    allows: "must be one of 10, 100, 1000",
  },
  {
    what: "a TCP probe with a rate",
    manifest: probeWith({ type: "TCP", packetsPerSecond: 10 }),
    path: "spec.probes[0].packetsPerSecond",
    allows: "must be left out: only type UDP has packetsPerSecond",
  },
  {
    what: "a UDP probe with a path",
    manifest: probeWith({ path: "/" }),
    path: "spec.probes[0].path",
    allows: "must be left out: only type HTTP and Transfer has path",
  },
  {
    what: "an HTTP probe with a path that begins nowhere",
    manifest: probeWith({ type: "HTTP", path: "healthz" }),
    path: "spec.probes[0].path",
    allows: "must be a path like /healthz",
  },
  {
    what: "a transfer of nothing",
    manifest: probeWith({ type: "Transfer", bytes: 0 }),
    path: "spec.probes[0].bytes",
    allows: "must be from 1 to 1000000000",
  },
];

export const GOOD_DRILLS: readonly { readonly what: string; readonly manifest: Manifest }[] = [
  { what: "a drill with nothing but its VM", manifest: drillWith({}) },
  {
    what: "a drill with everything at its limits",
    manifest: nodeDrillWith({
      runs: 50,
      interval: "24h",
      startTimeout: "0s",
      runTimeout: "2h",
      suspend: true,
      schedule: { days: ["Sun", "Mon"], at: "23:59", timeZone: "Europe/Bucharest" },
      promise: { recoveryTime: "1ms", outageBudget: "2h" },
      probes: [
        { name: "udp", type: "UDP", port: 65_535, packetsPerSecond: 1_000 },
        { name: "tcp", type: "TCP", port: 1 },
        { name: "http", type: "HTTP", port: 80, path: "/healthz?full=yes" },
        { name: "file", type: "Transfer", port: 80, bytes: 1_000_000_000 },
      ],
      reason: "🔥".repeat(1_024),
      requestedBy: "é".repeat(256),
    }),
  },
];

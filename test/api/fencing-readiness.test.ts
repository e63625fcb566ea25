import { expect, it } from "vitest";
import { readinessCondition, readReadiness } from "../../src/api/fencing-readiness.ts";
import type { LevelReadiness } from "../../src/model/fencing-readiness.ts";

const AT = "2026-11-22T12:00:00Z";
const READY: LevelReadiness = {
  level: "bmc",
  ready: true,
  reason: "DeviceReady",
  message: "Redfish https://10.0.0.7 says On",
  seen: { state: "On", device: "0123456789ab" },
  since: AT,
};

it("what is written on a Node is read back as it was, whatever its state", () => {
  const all: readonly LevelReadiness[] = [
    READY,
    { ...READY, level: "pdu", ready: false, seen: { state: "Off", device: "ba9876543210" } },
    { ...READY, level: "third", ready: false, seen: undefined },
  ];
  expect(readReadiness(all.map((one) => readinessCondition(one, AT)))).toEqual(all);
});

it("a long message keeps what vouches for the device", () => {
  const condition = readinessCondition({ ...READY, message: "x".repeat(5_000) }, AT);
  expect(condition.message.length).toBeLessThanOrEqual(400);
  expect(readReadiness([condition])).toMatchObject([{ seen: READY.seen }]);
});

it("conditions of others are left alone, and no more levels are read than there can be", () => {
  const foreign = { type: "Ready", status: "True", reason: "KubeletReady", message: "" };
  const many = Array.from({ length: 20 }, (_, i) => readinessCondition({ ...READY, level: `l${i}` }, AT));
  expect(readReadiness([foreign])).toEqual([]);
  expect(readReadiness([foreign, ...many])).toHaveLength(8);
  expect(readReadiness(undefined)).toEqual([]);
});

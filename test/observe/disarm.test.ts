import { describe, expect, it } from "vitest";
import type { ApiOutcome, ApiTransport } from "../../src/kube/transport.ts";
import type { DisarmFact } from "../../src/model/disarm.ts";
import { readDisarm } from "../../src/observe/facts/disarm.ts";
import { disarmedBy } from "../../src/observe/standing-disarms.ts";
import { disarmWith, type Fields } from "../api/bad-inputs.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const WALL_MS = Date.UTC(2026, 10, 22, 12);
const stored = (spec: Fields = {}, rest: Fields = {}): object => ({
  ...disarmWith(spec),
  metadata: {
    name: "work",
    uid: "u",
    resourceVersion: "1",
    generation: 1,
    creationTimestamp: "2026-11-22T11:00:00Z",
  },
  ...rest,
});

function read(raw: object, seen: { atMs: number; wallMs: number; previous?: DisarmFact }): DisarmFact {
  const reading = readDisarm(raw, {
    previous: seen.previous,
    seenAtMs: seen.atMs,
    seenAtWallMs: seen.wallMs,
  });
  if (!reading.ok) throw new Error(reading.reason);
  return reading.fact;
}

describe("a FencingDisarm", () => {
  const first = read(stored(), { atMs: 1_000, wallMs: WALL_MS });

  it("ends on the monotonic clock when its time comes by the wall clock of its first sight", () => {
    expect(first.untilMs).toBe(1_000 + 2 * 3_600_000);
  });

  it.each([
    ["ahead", 86_400_000],
    ["back", -86_400_000],
  ])("keeps that end when the wall clock jumps %s", (_where, jumpMs) => {
    const again = read(stored(), { atMs: 5_000, wallMs: WALL_MS + jumpMs, previous: first });
    expect(again.untilMs).toBe(first.untilMs);
  });

  it("gets a new end when a person moves it", () => {
    const moved = stored({ until: "2026-11-22T13:00:00Z" });
    expect(read(moved, { atMs: 5_000, wallMs: WALL_MS + 4_000, previous: first }).untilMs).toBe(
      1_000 + 3_600_000,
    );
  });

  it("is about all nodes unless it says which", () => {
    expect(first.nodeSelector).toEqual({});
  });
});

describe("the last look before a shot", () => {
  const clock = new VirtualClock();
  const over = {
    heldNodes: [],
    conditions: [
      {
        type: "Active",
        status: "False",
        reason: "Expired",
        message: "",
        lastTransitionTime: "2026-11-22T14:00:00Z",
        observedGeneration: 1,
      },
    ],
  };
  const answering = (outcome: ApiOutcome<unknown>): ApiTransport =>
    ({ request: async () => outcome }) as unknown as ApiTransport;
  const look = (...items: object[]) =>
    disarmedBy({ transport: answering({ ok: true, status: 200, value: { items } }), clock }, { rack: "a" });
  const found = async (...items: object[]): Promise<string | undefined> => {
    const outcome = await look(...items);
    if (!outcome.ok) throw new Error(outcome.message);
    return outcome.value;
  };

  it("finds the disarm that stands, by its name and reason", async () => {
    expect(await found(stored())).toBe("FencingDisarm work stands: new switch firmware");
    expect(await found(stored({ nodeSelector: { matchLabels: { rack: "a" } } }))).toContain("work");
  });

  it("finds none about other nodes, and none whose end is on record", async () => {
    expect(await found(stored({ nodeSelector: { matchLabels: { rack: "b" } } }))).toBeUndefined();
    expect(await found(stored({}, { status: over }))).toBeUndefined();
    expect(await found()).toBeUndefined();
  });

  it("takes one that cannot be read for standing", async () => {
    expect(await found({ metadata: { name: "?" } })).toContain("cannot be read");
  });

  it("hands on that it could not look", async () => {
    const failure = { ok: false, kind: "timeout", status: undefined, message: "late" } as const;
    expect(await disarmedBy({ transport: answering(failure), clock }, {})).toEqual(failure);
  });
});

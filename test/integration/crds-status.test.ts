import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodeFencing } from "../../src/api/node-fencing.ts";
import { fencingWith, haVirtualMachineWith } from "../api/bad-inputs.ts";
import { nodeDrillWith } from "../api/bad-drills.ts";
import { BAD_PROOFS, GOOD_PROOFS } from "../api/proofs.ts";
import { useCrds } from "./crds-fixture.ts";

const cluster = useCrds();

const at = "2026-11-22T10:30:01.000Z";
const off = { type: "PowerOff", bootID: "boot-1", observedAt: at, detail: "read back as Off" };
const rebooted = { ...off, type: "Rebooted", bootID: "boot-2" };
const attempt = { number: 1, level: "bmc", method: "Redfish", epoch: 1, startedAt: at, outcome: "Started" };

const fencing = fencingWith({});
const write = (status: object | null) => cluster.patch(fencing, { status }, "status");

/** Writes each status in turn; all but the last must be taken, and the last one is returned. */
async function after(...statuses: readonly [...earlier: object[], last: object | null]) {
  for (const status of statuses.slice(0, -1)) expect(await write(status)).toMatchObject({ ok: true });
  return write(statuses.at(-1) ?? null);
}

function refusal(path: string, says: string) {
  return {
    ok: false,
    kind: "invalid",
    message: expect.stringMatching(new RegExp(`${path.replaceAll(".", "\\.")}: .*${says}`)) as string,
  };
}

describe("the ledger of a fencing", () => {
  beforeEach(async () => {
    expect(await cluster.create(fencing)).toMatchObject({ ok: true });
  });
  afterEach(() => cluster.remove(fencing));

  it("goes its whole way, from intent to return, and zod reads it at the end", async () => {
    const last = await after(
      { phase: "Pending", epoch: 1 },
      { phase: "Fencing", attempts: [attempt] },
      { attempts: [{ ...attempt, outcome: "TimedOut", endedAt: at, answer: "504" }] },
      { phase: "Fenced", epoch: 2, proof: off },
      {
        phase: "Releasing",
        releasedVMs: [{ namespace: "shop", name: "db", priority: 900, wave: 0, releasedAt: at }],
      },
      { phase: "Released", releasedAt: at, powerOnRequestedAt: at },
      { phase: "Returned", returnedAt: at, returnedBootID: "boot-2" },
    );
    expect(last).toMatchObject({ ok: true });
    if (last.ok) expect(nodeFencing.stored.parse(last.value).status).toEqual(last.value.status);
  });

  it.each([
    ["Fencing", "Pending"],
    ["Fenced", "Fencing"],
    ["Releasing", "Fenced"],
    ["Released", "Releasing"],
  ])("does not go back from %s to %s", async (from, to) => {
    const outcome = await after({ phase: from, epoch: 1, proof: off }, { phase: to });
    expect(outcome).toMatchObject(refusal("status.phase", "must stay or go forward"));
  });

  it.each([
    ["Returned", "Aborted"],
    ["Aborted", "Returned"],
    ["Aborted", "Fencing"],
    ["Returned", "Released"],
  ])("ends with %s: nothing, not even %s, comes after", async (end, later) => {
    const outcome = await after({ phase: end, epoch: 1, proof: off }, { phase: later });
    expect(outcome).toMatchObject(refusal("status.phase", "Returned and Aborted are final"));
  });

  it.each(["Pending", "Fencing", "Fenced", "Releasing", "Released"])(
    "may be aborted when %s",
    async (phase) => {
      const outcome = await after({ phase, epoch: 1, proof: off }, { phase: "Aborted" });
      expect(outcome).toMatchObject({ ok: true });
    },
  );

  it("may note more after its end, such as a later epoch or a message", async () => {
    const outcome = await after({ phase: "Aborted", epoch: 1 }, { epoch: 2, message: "was not lost" });
    expect(outcome).toMatchObject({ ok: true });
  });

  it.each(["Fenced", "Releasing", "Released"])("is not %s without a proof", async (phase) => {
    const outcome = await write({ phase, epoch: 1 });
    expect(outcome).toMatchObject(refusal("status.phase", "without a proof"));
  });

  it("may return without having been proven off by us, when the node rebooted by itself", async () => {
    const outcome = await after({ phase: "Pending", epoch: 1 }, { phase: "Returned", proof: rebooted });
    expect(outcome).toMatchObject({ ok: true });
  });

  it("keeps its proof as it was written", async () => {
    const changes: readonly (object | null)[] = [
      { detail: "on second thoughts" },
      { observedAt: "2026-11-22T10:30:02.000Z" },
      { attempt: 2 },
      rebooted,
      null,
    ];
    for (const proof of changes) {
      const outcome = await after({ phase: "Fenced", epoch: 1, proof: off }, { proof });
      expect(outcome).toMatchObject(refusal("status.proof", "is immutable once set"));
    }
  });

  it("takes a proof of power-off for the incarnation that was to be fenced, and for no other", async () => {
    const outcome = await write({ phase: "Fenced", epoch: 1, proof: { ...off, bootID: "boot-2" } });
    expect(outcome).toMatchObject(
      refusal("status.proof.bootID", "must hold spec.bootID with any type but Rebooted"),
    );
  });

  it("takes a proof of reboot for another incarnation only", async () => {
    const outcome = await write({ phase: "Returned", epoch: 1, proof: { ...rebooted, bootID: "boot-1" } });
    expect(outcome).toMatchObject(refusal("status.proof.bootID", "another boot ID with type Rebooted"));
  });

  it.each(GOOD_PROOFS)("takes $what", async ({ proof }) => {
    expect(await write({ phase: "Fenced", epoch: 1, proof })).toMatchObject({ ok: true });
  });

  it.each(BAD_PROOFS)("refuses $what", async ({ proof, field }) => {
    const outcome = await write({ phase: "Fencing", epoch: 1, proof });
    expect(outcome).toMatchObject(refusal(`status.proof.${field}`, "must"));
  });

  it("is not Released on a proof of reboot, which releases nothing by force", async () => {
    const outcome = await write({ phase: "Released", epoch: 1, proof: rebooted });
    expect(outcome).toMatchObject(refusal("status.phase", "which Rebooted is not"));
  });

  it("refuses a leader that was replaced", async () => {
    const outcome = await after({ phase: "Fencing", epoch: 7 }, { epoch: 6, message: "from the past" });
    expect(outcome).toMatchObject(refusal("status.epoch", "must not decrease"));
  });

  it("cannot be wiped", async () => {
    const outcome = await after({ phase: "Fencing", epoch: 1 }, null);
    expect(outcome).toMatchObject(refusal("status", "must not be removed"));
  });

  it("does not lose its status to a write of the whole object without one", async () => {
    await write({ phase: "Fencing", epoch: 1 });
    const outcome = await cluster.patch(fencing, { status: null, metadata: { labels: { a: "b" } } });
    expect(outcome).toMatchObject({ ok: true, value: { status: { phase: "Fencing" } } });
  });

  it("has no status at birth, whatever its maker writes", async () => {
    await cluster.remove(fencing);
    const forged = { ...fencing, status: { phase: "Fenced", epoch: 1, proof: off } };
    const outcome = await cluster.create(forged);
    expect(outcome).toMatchObject({ ok: true });
    if (outcome.ok) expect(outcome.value.status).toBeUndefined();
  });

  it("needs phase and epoch from the first write on", async () => {
    expect(await write({ message: "x" })).toMatchObject(refusal("status.phase", "Required value"));
    expect(await write({ phase: "Pending" })).toMatchObject(refusal("status.epoch", "Required value"));
  });

  it("numbers each attempt once, and holds at most 64", async () => {
    const numbered = (number: number) => ({ ...attempt, number });
    const twice = await write({ phase: "Fencing", epoch: 1, attempts: [attempt, attempt] });
    expect(twice).toMatchObject(refusal("status.attempts[1]".replace("[1]", "\\[1\\]"), "Duplicate value"));
    const attempts = Array.from({ length: 65 }, (_, index) => numbered(index + 1));
    const many = await write({ phase: "Fencing", epoch: 1, attempts });
    expect(many).toMatchObject(refusal("status.attempts", "must have at most 64 items"));
    expect(await write({ phase: "Fencing", epoch: 1, attempts: attempts.slice(1) })).toMatchObject({
      ok: true,
    });
  });

  it("is written by server-side apply, which drops what the writer no longer names, but never the proof", async () => {
    const numbered = [1, 2].map((number) => ({ ...attempt, number, outcome: "PoweredOff" }));
    await cluster.applyStatus(fencing, { phase: "Fenced", epoch: 1, proof: off, attempts: numbered });
    const second = await cluster.applyStatus(fencing, {
      phase: "Fenced",
      epoch: 1,
      proof: off,
      attempts: numbered.slice(1),
    });
    expect(second).toMatchObject({ ok: true, value: { status: { attempts: [{ number: 2 }] } } });
    const third = await cluster.applyStatus(fencing, { phase: "Aborted", epoch: 1 });
    expect(third).toMatchObject(refusal("status.proof", "is immutable once set"));
  });

  it("names a thousand released VMs, within the server's budget for rules", async () => {
    const releasedVMs = Array.from({ length: 1_000 }, (_, index) => ({
      namespace: "a".repeat(63),
      name: `${"v".repeat(240)}-${index}`,
      priority: 500,
      wave: 0,
      releasedAt: at,
    }));
    const status = { phase: "Releasing", epoch: 1, proof: off, releasedVMs };
    expect(await write(status)).toMatchObject({ ok: true });
    expect(await write({ phase: "Released" })).toMatchObject({ ok: true });
  });
});

describe("the status of an HAVirtualMachine", () => {
  const havm = haVirtualMachineWith({});
  beforeEach(async () => {
    expect(await cluster.create(havm)).toMatchObject({ ok: true });
  });
  afterEach(() => cluster.remove(havm));

  it("holds ten outages and no more", async () => {
    const outage = { cause: "NodeLost", fromNode: "node-1", vmiUID: "u", lastGoodAt: at, lostAt: at };
    const ten = Array.from({ length: 10 }, () => outage);
    expect(await cluster.patch(havm, { status: { outages: ten } }, "status")).toMatchObject({ ok: true });
    const eleven = await cluster.patch(havm, { status: { outages: [...ten, outage] } }, "status");
    expect(eleven).toMatchObject(refusal("status.outages", "must have at most 10 items"));
  });

  it("holds each condition once", async () => {
    const condition = {
      type: "Available",
      status: "True",
      reason: "Running",
      message: "",
      lastTransitionTime: at,
    };
    const one = await cluster.patch(havm, { status: { conditions: [condition] } }, "status");
    expect(one).toMatchObject({ ok: true });
    const two = await cluster.patch(havm, { status: { conditions: [condition, condition] } }, "status");
    expect(two).toMatchObject({ ok: false, kind: "invalid" });
  });

  it("is not touched by a write of the spec, nor the spec by a write of the status", async () => {
    const bySpec = await cluster.patch(havm, { spec: { priority: 1 }, status: { node: "node-9" } });
    expect(bySpec).toMatchObject({ ok: true, value: { spec: { priority: 1 } } });
    if (bySpec.ok) expect(bySpec.value.status).toBeUndefined();
    const byStatus = await cluster.patch(
      havm,
      { spec: { priority: 2 }, status: { node: "node-9" } },
      "status",
    );
    expect(byStatus).toMatchObject({
      ok: true,
      value: { spec: { priority: 1 }, status: { node: "node-9" } },
    });
  });
});

describe("a drill", () => {
  const drill = nodeDrillWith({});
  beforeEach(async () => {
    expect(await cluster.create(drill)).toMatchObject({ ok: true });
  });
  afterEach(() => cluster.remove(drill));

  it("refuses a leader that was replaced", async () => {
    const running = { phase: "Running", epoch: 7, message: "" };
    expect(await cluster.patch(drill, { status: running }, "status")).toMatchObject({ ok: true });
    const outcome = await cluster.patch(drill, { status: { ...running, epoch: 6 } }, "status");
    expect(outcome).toMatchObject(refusal("status.epoch", "must not decrease"));
  });

  it("stays about what it was about", async () => {
    const moved = await cluster.patch(drill, { spec: { nodeName: "node-2" } });
    expect(moved).toMatchObject(refusal("spec.nodeName", "is immutable"));
    const changed = await cluster.patch(drill, { spec: { type: "NodeEvacuation" } });
    expect(changed).toMatchObject(refusal("spec.type", "is immutable"));
    expect(await cluster.patch(drill, { spec: { suspend: true } })).toMatchObject({ ok: true });
  });
});

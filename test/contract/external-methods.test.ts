// Every fencing method whose device is somebody else's controller, held to one contract on the fake API server: each kind
// of remediation, one that NodeHealthCheck has made, and NetworkFence. Methods with a power state: fencing-methods.test.ts.
import { describe, expect, it } from "vitest";
import { performFence } from "../../src/act/fence.ts";
import type { PerformedStep } from "../../src/act/outcome.ts";
import type { FencingLevel } from "../../src/model/fencing.ts";
import { releasesByForce } from "../../src/model/proof.ts";
import { BOOT_ID, EPOCH, FENCING_PATH, LEVEL } from "../act/act-fixture.ts";
import { failing, refusing, type SeenRequest } from "../support/fake-api.ts";
import { type ExternalRig, networkFenceRig, remediationRig, said, SECRET } from "./external-rigs.ts";

const LEDGER_WRITE = `PATCH ${FENCING_PATH}/status`;
/** When the controller speaks, after the attempt began. */
const SIGNAL_MS = 10_000;
/** Writes of an attempt that succeeds, at most; the suite sees to it that none is left out. */
const MAX_WRITES = 8;
/** Longest answer that a ledger takes, and longest detail of a proof and of a step's end. */
const MAX_ANSWER_CHARS = 300;
const MAX_DETAIL_CHARS = 550;

interface Words {
  readonly level?: FencingLevel;
  readonly mayPowerOff?: boolean;
  readonly epoch?: number;
}

function fence(rig: ExternalRig, { level, mayPowerOff = true, epoch = EPOCH }: Words = {}) {
  const { scene } = rig;
  const step = {
    kind: "Fence",
    fencing: scene.fencingFact(),
    level: level ?? rig.level,
    mayPowerOff,
  } as const;
  return scene.finish(performFence(step, scene.context(epoch)));
}

function later(rig: ExternalRig, happen: () => void, afterMs = SIGNAL_MS): void {
  rig.scene.clock.schedule(afterMs, happen);
}

async function proven(rig: ExternalRig): Promise<void> {
  later(rig, rig.succeed);
  expect(await fence(rig)).toEqual({ outcome: "done" });
}

const labelOf = (rig: ExternalRig) => rig.scene.fencingFact().uid;
const isOurs = (rig: ExternalRig, labels: Readonly<Record<string, string>> | undefined) =>
  labels?.["holdfast.dev/fencing"] === labelOf(rig);
const ours = (rig: ExternalRig) => rig.objects().filter(({ object }) => isOurs(rig, object.metadata.labels));

/** Stops the leader at its `number`th write: the write arrives or not, its answer never does, and nothing follows. */
function crashAtWrite(
  rig: ExternalRig,
  number: number,
  arrives: boolean,
): { readonly reached: () => boolean } {
  let writes = 0;
  rig.scene.api.intercept = (request: SeenRequest) => {
    if (request.method === "GET") return undefined;
    writes += 1;
    if (writes !== number) return undefined;
    if (arrives) rig.scene.api.answer(request);
    rig.scene.leading = false;
    return failing("timeout");
  };
  return { reached: () => writes >= number };
}

function describeExternalMethod(method: string, start: () => ExternalRig): void {
  describe(`the external method contract: ${method}`, () => {
    it("makes nothing before the attempt is on record", async () => {
      const rig = start();
      rig.scene.api.intercept = ({ method: verb, line }) => {
        if (verb !== "GET" && line !== LEDGER_WRITE) {
          expect(rig.scene.ledger.attempts, line).toMatchObject([{ outcome: "Started", epoch: EPOCH }]);
        }
        return undefined;
      };
      await proven(rig);
      const unrecorded = start();
      unrecorded.scene.api.intercept = ({ line }) =>
        line === LEDGER_WRITE ? failing("unreachable") : undefined;
      await fence(unrecorded);
      expect(new Set(unrecorded.scene.api.writes)).toEqual(new Set([LEDGER_WRITE]));
    });

    it("is proven by its own signal for this very object and boot ID", async () => {
      const rig = start();
      await proven(rig);
      const [made, ...more] = rig.objects();
      expect(more).toEqual([]);
      expect(ours(rig)).toHaveLength(rig.adopted ? 0 : 1);
      expect(rig.scene.clock.now().monotonicMs).toBeGreaterThanOrEqual(SIGNAL_MS);
      const { proof, attempts, phase } = rig.scene.ledger;
      expect(phase).toBe("Fenced");
      expect(attempts).toMatchObject([
        { number: 1, outcome: rig.proofType === "StorageFenced" ? "StorageFenced" : "Remediated" },
      ]);
      expect(proof).toMatchObject({ type: rig.proofType, bootID: BOOT_ID, attempt: 1 });
      expect(proof?.acceptedAs).toBe(rig.weakName);
      expect(proof !== undefined && releasesByForce(proof)).toBe(true);
      if (rig.proofType !== "StorageFenced") expect(proof?.remediation?.uid).toBe(made?.object.metadata.uid);
      else expect(proof?.cidrs).toEqual(made?.object.spec?.["cidrs"]);
    });

    it.each(Object.keys(start().noSignals))("is not proven by %s", async (what) => {
      const rig = start();
      later(rig, () => rig.noSignals[what]?.(), 3_000);
      expect(await fence(rig)).toMatchObject({ outcome: "refused" });
      expect(rig.scene.ledger.proof).toBeUndefined();
      expect(rig.scene.ledger.attempts).toMatchObject([{ endedAt: expect.anything() }]);
    });

    it("is not proven of a node that shows another boot ID or is heard when the signal comes", async () => {
      const lives: Readonly<Record<string, (rig: ExternalRig) => void>> = {
        rebooted: ({ scene }) => scene.reboot(),
        heard: ({ scene }) => scene.renewLease({ noticed: false }),
      };
      const cases = Object.entries(lives).flatMap(([life, happen]) =>
        // At the first the signal is seen before the node is looked at again, at the second after it.
        [7_500, SIGNAL_MS].map((atMs) => ({ life, happen, atMs })),
      );
      for (const { life, happen, atMs } of cases) {
        const rig = start();
        later(
          rig,
          () => {
            happen(rig);
            rig.succeed();
          },
          atMs,
        );
        await fence(rig);
        const when = `${life} at ${atMs} ms`;
        expect(rig.scene.ledger.attempts, when).toMatchObject([{ outcome: "Abandoned" }]);
        expect(rig.scene.ledger.proof, when).toBeUndefined();
        if (life !== "heard" || rig.lateWordCounts) continue;
        // Silent again, and with it the word that it has contradicted.
        await rig.scene.clock.advance(60_000);
        await fence(rig, { epoch: EPOCH + 1 });
        expect(rig.scene.ledger.attempts.at(-1)?.outcome, when).toBe("TimedOut");
        expect(rig.scene.ledger.proof, "by a word that was contradicted").toBeUndefined();
      }
    });

    it("ends as TimedOut at its deadline, and leaves nothing that proves by itself later", async () => {
      const rig = start();
      const beganMs = rig.scene.clock.now().monotonicMs;
      await fence(rig);
      expect(rig.scene.ledger.attempts).toMatchObject([{ outcome: "TimedOut" }]);
      expect(rig.scene.clock.now().monotonicMs - beganMs).toBeGreaterThanOrEqual(rig.level.timeoutMs);
      for (const { path, object } of rig.objects()) {
        if (isOurs(rig, object.metadata.labels)) continue;
        const touched = rig.scene.api.writes.filter((line) => line.endsWith(path));
        expect(touched, "what somebody else made").toEqual([]);
      }
      const left = rig.objects().map(({ path, object }) => ({ path, uid: object.metadata.uid }));
      rig.succeed(left.map(({ path }) => path));
      await rig.scene.clock.advance(5_000);
      expect(rig.scene.ledger.proof, "without an attempt on record").toBeUndefined();
      await fence(rig, { epoch: EPOCH + 1 });
      const { proof } = rig.scene.ledger;
      if (rig.lateWordCounts) expect(proof).toMatchObject({ attempt: 2, bootID: BOOT_ID });
      else expect(proof, "by a word that came too late").toBeUndefined();
    });

    it.each([true, false])(
      "makes no second object after a crash at any write, the write having arrived: %s",
      async (arrives) => {
        let crashes = 0;
        for (let number = 1; number <= MAX_WRITES; number++) {
          const rig = start();
          const { reached } = crashAtWrite(rig, number, arrives);
          later(rig, rig.succeed);
          const end = await fence(rig);
          if (!reached()) {
            expect(end).toEqual({ outcome: "done" });
            break;
          }
          crashes += 1;
          const writes = rig.scene.api.writes.length;
          await rig.scene.clock.advance(2_000);
          expect(rig.scene.api.writes.length, `writes after the crash at write ${number}`).toBe(writes);
          rig.scene.leading = true;
          rig.scene.api.intercept = () => undefined;
          later(rig, rig.succeed);
          const again = await fence(rig, { epoch: EPOCH + 1 });
          expect(["done", "unchanged"], `write ${number}: ${again.detail ?? ""}`).toContain(again.outcome);
          expect(rig.scene.ledger.proof, `write ${number}`).toMatchObject({
            type: rig.proofType,
            bootID: BOOT_ID,
          });
          expect(rig.objects(), `objects after a crash at write ${number}`).toHaveLength(1);
        }
        expect(crashes).toBeGreaterThanOrEqual(fewestWrites());
        expect(crashes).toBeLessThan(MAX_WRITES);
      },
    );

    it("ends as failed where its controller fails, says why, and the next level may begin", async () => {
      const rig = start();
      later(rig, rig.fail, 3_000);
      expect(await fence(rig)).toMatchObject({ outcome: "refused" });
      const [attempt] = rig.scene.ledger.attempts;
      expect(attempt).toMatchObject({ outcome: rig.failsAs, endedAt: expect.anything() });
      expect(await fence(rig, { level: LEVEL })).toEqual({ outcome: "done" });
      expect(rig.scene.ledger).toMatchObject({
        attempts: [{ level: "external" }, { level: LEVEL.name, outcome: "PoweredOff" }],
        proof: { type: "PowerOff", attempt: 2 },
      });
    });

    it("only looks where nothing may be shot", async () => {
      const rig = start();
      expect(await fence(rig, { mayPowerOff: false })).toMatchObject({ outcome: "unchanged" });
      expect(rig.scene.api.writes).toEqual([]);
    });

    const isWeak = start().weakName !== undefined;
    it(`${isWeak ? "never proves" : "proves all the same"} where the level does not accept it by name`, async () => {
      for (const acceptWeakProof of [[], ["SomethingElse"]]) {
        for (const mayPowerOff of [true, false]) {
          const rig = start();
          if (mayPowerOff) later(rig, rig.succeed, 2_000);
          else rig.succeed();
          const level = { ...rig.level, acceptWeakProof };
          const before = rig.objects().length;
          await fence(rig, { level, mayPowerOff });
          if (!isWeak) {
            expect(rig.scene.ledger.proof?.type).toBe(rig.adopted || mayPowerOff ? rig.proofType : undefined);
            continue;
          }
          expect(rig.scene.ledger.proof).toBeUndefined();
          expect(rig.objects()).toHaveLength(before);
          // What another level has made and got its signal from proves as little under this one.
          const made = start();
          await proven(made);
          made.scene.api.objects.change(FENCING_PATH, (ledger) => {
            const { proof: _proof, ...status } = ledger.status ?? {};
            ledger.status = { ...status, phase: "Fencing" };
          });
          await fence(made, { level, mayPowerOff });
          expect(made.scene.ledger.proof).toBeUndefined();
        }
      }
    });

    it("writes nothing as a leader that has been replaced", async () => {
      const replaced = start();
      replaced.scene.fencing({ epoch: EPOCH + 1 });
      const late = start();
      late.scene.leading = false;
      for (const rig of [replaced, late]) {
        rig.succeed();
        expect(["stale", "conflict", "refused"]).toContain((await fence(rig)).outcome);
        expect(rig.scene.api.writes).toEqual([]);
      }
      for (const afterMs of [0, 100, 400, 5_000, SIGNAL_MS]) {
        const rig = start();
        let writes: number | undefined;
        later(rig, rig.succeed);
        later(
          rig,
          () => {
            rig.scene.leading = false;
            writes = rig.scene.api.writes.length;
          },
          afterMs,
        );
        expect(await fence(rig), `replaced after ${afterMs} ms`).toMatchObject({ outcome: "stale" });
        expect(rig.scene.api.writes, `replaced after ${afterMs} ms`).toHaveLength(writes ?? -1);
      }
    });

    it("lifts only what is ours, only after another boot ID was seen, and not as a replaced leader", async () => {
      const rig = start();
      await proven(rig);
      const another = rig.seedAnothers();
      const others = rig.objects().filter(({ object }) => !isOurs(rig, object.metadata.labels));
      const before = rig.scene.api.writes.length;
      expect(await rig.lift()).toMatchObject({
        outcome: "refused",
        detail: expect.stringContaining(BOOT_ID),
      });
      rig.scene.reboot();
      expect((await rig.lift(EPOCH - 1)).outcome).not.toBe("done");
      expect(rig.scene.api.writes.slice(before)).toEqual([]);
      expect(await rig.lift()).toEqual({ outcome: "done" });
      expect(rig.objects()).toEqual(others);
      expect(others.map(({ path }) => path)).toContain(another);
    });

    it("lifts what proved nothing without waiting for a reboot", async () => {
      const rig = start();
      await fence(rig);
      expect(await rig.lift()).toEqual({ outcome: "done" });
      expect(ours(rig)).toEqual([]);
    });

    it("tells no secrets, and stays within the limits of what goes on record", async () => {
      const ends: PerformedStep[] = [];
      const refusedRig = start();
      refusedRig.scene.api.intercept = ({ method: verb, path, body }) =>
        verb === "POST" && !path.includes("/leases")
          ? refusing("POST", 422, {
              reason: "Invalid",
              message: `spec: Invalid value: ${JSON.stringify(body)} ${"and on ".repeat(300)}`,
            })
          : undefined;
      const failedRig = start();
      later(failedRig, failedRig.fail, 3_000);
      const provenRig = start();
      later(provenRig, provenRig.succeed);
      for (const rig of [refusedRig, failedRig, provenRig]) {
        ends.push(await fence(rig));
        // Refuses a ledger that our own CRD would not take.
        const { attempts, proof } = rig.scene.ledger;
        for (const { answer } of attempts) expect(answer?.length).toBeLessThanOrEqual(MAX_ANSWER_CHARS);
        expect(proof?.detail.length ?? 0).toBeLessThanOrEqual(MAX_DETAIL_CHARS);
        const told = JSON.stringify([rig.scene.ledger, rig.scene.warnings, ends]);
        expect(told).not.toContain(SECRET);
      }
      for (const { detail = "" } of ends) expect(detail.length).toBeLessThanOrEqual(MAX_DETAIL_CHARS);
    });

    /** Writes that a run without crashes makes. */
    function fewestWrites(): number {
      return start().adopted ? 2 : 3;
    }
  });
}

const WORKING = { "no more than that it works": said("Processing", "True") };

describeExternalMethod("FenceAgentsRemediation", () =>
  remediationRig({
    kind: "FenceAgentsRemediation",
    several: true,
    success: said("FenceAgentActionSucceeded", "True"),
    noSignals: {
      ...WORKING,
      "the deletion of pods alone": said("Succeeded", "True"),
      "an action that is unknown": said("FenceAgentActionSucceeded", "Unknown"),
    },
  }),
);

describeExternalMethod("SelfNodeRemediation, accepted", () =>
  remediationRig({
    kind: "SelfNodeRemediation",
    weak: true,
    several: true,
    success: { phase: "Reboot-Completed", timeAssumedRebooted: "2026-11-22T00:00:05Z" },
    noSignals: {
      ...WORKING,
      "a horizon that has not come": {
        phase: "Reboot-Completed",
        timeAssumedRebooted: "2026-11-22T01:00:00Z",
      },
      "a horizon without its phase": {
        phase: "Pre-Reboot-Completed",
        timeAssumedRebooted: "2026-11-22T00:00:01Z",
      },
      "a phase without its horizon": { phase: "Reboot-Completed" },
      "the contract's Succeeded": said("Succeeded", "True"),
    },
  }),
);

describeExternalMethod("StorageBasedRemediation, accepted", () =>
  remediationRig({
    kind: "StorageBasedRemediation",
    weak: true,
    success: said("FencingSucceeded", "True"),
    failure: said("Ready", "False", "RemediationFailed"),
    noSignals: {
      ...WORKING,
      "the contract's Succeeded": said("Succeeded", "True"),
      "a readiness of its own": said("Ready", "True"),
    },
  }),
);

describeExternalMethod("MachineDeletionRemediation", () =>
  remediationRig({
    kind: "MachineDeletionRemediation",
    success: said("Succeeded", "True"),
    noSignals: {
      ...WORKING,
      "the expectation that the node will not return": said("PermanentNodeDeletionExpected", "True"),
    },
  }),
);

const METAL3 = {
  kind: "Metal3Remediation",
  group: "infrastructure.cluster.x-k8s.io/v1beta1",
  machine: true,
  success: { phase: "Waiting" },
  failure: { phase: "Failed" },
  noSignals: { "a host that is being switched off": { phase: "Running" } },
} as const;
describeExternalMethod("Metal3Remediation with a Machine", () => remediationRig(METAL3));
describeExternalMethod("Metal3Remediation of MachineHealthCheck, adopted", () =>
  remediationRig({ ...METAL3, adopted: true }),
);

describeExternalMethod("FenceAgentsRemediation of NodeHealthCheck, adopted", () =>
  remediationRig({
    kind: "FenceAgentsRemediation",
    several: true,
    adopted: true,
    success: said("FenceAgentActionSucceeded", "True"),
    noSignals: {
      ...WORKING,
      "a word from before this loss": {
        conditions: [
          {
            type: "FenceAgentActionSucceeded",
            status: "True",
            lastTransitionTime: "2026-11-21T23:59:00Z",
          },
        ],
      },
    },
  }),
);

describeExternalMethod("SelfNodeRemediation of NodeHealthCheck, adopted and accepted", () =>
  remediationRig({
    kind: "SelfNodeRemediation",
    weak: true,
    several: true,
    adopted: true,
    success: { phase: "Fencing-Completed", timeAssumedRebooted: "2026-11-22T00:00:05Z" },
    noSignals: WORKING,
  }),
);

describeExternalMethod("NetworkFence", networkFenceRig);

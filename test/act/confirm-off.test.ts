import { describe, expect, it } from "vitest";
import { performConfirmOff } from "../../src/act/confirm-off.ts";
import type { Confirmation } from "../../src/model/confirmation.ts";
import { failing } from "../support/fake-api.ts";
import { ActScene, BOOT_ID, EPOCH, FENCING_PATH, LEASE_PATH } from "./act-fixture.ts";

const WORD: Confirmation = {
  bootID: BOOT_ID,
  by: "ada@example.com",
  writtenAt: "2026-11-22T00:00:30Z",
  manager: "kubectl-annotate",
};
const LEDGER_WRITE = `PATCH ${FENCING_PATH}/status`;
const OPEN = {
  number: 3,
  level: "bmc",
  method: "Redfish",
  epoch: EPOCH,
  startedAt: "2026-11-22T00:00:00.000Z",
  outcome: "Started",
} as const;

function unreadable(scene: ActScene): void {
  scene.api.intercept = ({ path }) => (path === LEASE_PATH ? failing("unreachable") : undefined);
}

function confirm(scene: ActScene, confirmation = WORD, fencing = scene.fencingFact()) {
  return scene.finish(performConfirmOff({ kind: "ConfirmOff", fencing, confirmation }, scene.context()));
}

describe("taking a person's word", () => {
  it("writes one proof with who, when and by what, and closes the attempt that was left open", async () => {
    const scene = new ActScene();
    scene.fencing({ phase: "Fencing", attempts: [OPEN] });
    expect(await confirm(scene)).toEqual({ outcome: "done" });
    expect(scene.api.writes).toEqual([LEDGER_WRITE]);
    expect(scene.ledger).toMatchObject({
      phase: "Fenced",
      epoch: EPOCH,
      attempts: [{ number: 3, outcome: "Abandoned" }],
      proof: {
        type: "Confirmed",
        bootID: BOOT_ID,
        confirmedBy: "ada@example.com",
        confirmedAt: "2026-11-22T00:00:30Z",
        confirmedWith: "kubectl-annotate",
      },
    });
    expect(scene.opened).toEqual([]);
  });

  it.each<[string, (scene: ActScene) => void]>([
    ["the node has renewed its Lease", (scene) => scene.renewLease({ noticed: false })],
    ["the node has rebooted", (scene) => scene.reboot()],
    ["the Lease cannot be read", unreadable],
  ])("writes nothing when %s", async (_what, happen) => {
    const scene = new ActScene();
    scene.fencing();
    happen(scene);
    expect(await confirm(scene)).toMatchObject({ outcome: "refused" });
    expect(scene.api.writes).toEqual([]);
  });

  it("is refused for another incarnation and for nobody's word, whoever planned it", async () => {
    const scene = new ActScene();
    scene.fencing();
    expect(await confirm(scene, { ...WORD, bootID: "boot-9" })).toMatchObject({ outcome: "refused" });
    expect(await confirm(scene, { ...WORD, by: "" })).toMatchObject({ outcome: "refused" });
    expect(scene.api.seen).toEqual([]);
  });

  it("loses against whoever changes the word meanwhile", async () => {
    const scene = new ActScene();
    const fencing = scene.fencing();
    scene.api.objects.change(FENCING_PATH, (ledger) => (ledger.metadata.annotations = { other: "word" }));
    expect(await confirm(scene, WORD, fencing)).toMatchObject({ outcome: "conflict" });
    expect(scene.ledger.proof).toBeUndefined();
  });

  it("is not a replaced leader's business, nor that of a ledger that is proven or closed", async () => {
    for (const [status, outcome] of [
      [{ epoch: EPOCH + 1 }, "stale"],
      [{ phase: "Aborted" }, "unchanged"],
    ] as const) {
      const scene = new ActScene();
      scene.fencing(status);
      expect(await confirm(scene)).toMatchObject({ outcome });
      expect(scene.api.writes).toEqual([]);
    }
  });
});

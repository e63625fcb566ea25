import { describe, expect, it } from "vitest";
import { performFence } from "../../src/act/fence.ts";
import { performLiftRemediation } from "../../src/act/lift-remediation.ts";
import type { ExternalLevel, FencingLevel } from "../../src/model/fencing.ts";
import { failing } from "../support/fake-api.ts";
import { type ActScene, BOOT_ID, EPOCH, FENCING_PATH, LEASE_PATH, NODE, NODE_PATH } from "./act-fixture.ts";
import {
  GROUP,
  NODE_LEASE,
  REMEDIATION,
  remediations,
  REMEDIATIONS,
  remediationScene,
  says,
  TEMPLATE,
} from "./remediation-world.ts";

const TIMED_OUT = "remediation.medik8s.io/nhc-timed-out";

interface Words {
  readonly level?: FencingLevel;
  readonly mayPowerOff?: boolean;
  readonly epoch?: number;
}

function fence(scene: ActScene, { level = REMEDIATION, mayPowerOff = true, epoch = EPOCH }: Words = {}) {
  const step = { kind: "Fence", fencing: scene.fencingFact(), level, mayPowerOff } as const;
  return scene.finish(performFence(step, scene.context(epoch)));
}

/** The remediator speaks so long after the start. */
function later(scene: ActScene, afterMs: number, happen: () => void): void {
  scene.clock.schedule(afterMs, happen);
}

function settings(
  change: Partial<Extract<ExternalLevel, { method: "Remediation" }>["remediation"]["template"]>,
) {
  if (REMEDIATION.method !== "Remediation") throw new Error("another method");
  return { ...REMEDIATION, remediation: { template: { ...REMEDIATION.remediation.template, ...change } } };
}

describe("an attempt through a remediation", () => {
  it("makes it by the contract after the attempt is on record, and is proven by its signal", async () => {
    const scene = remediationScene();
    scene.fencing();
    scene.api.intercept = ({ method, path }) => {
      if (method === "POST" && path === REMEDIATIONS) {
        expect(scene.ledger.attempts).toMatchObject([
          {
            outcome: "Started",
            method: "Remediation",
            remediation: { apiVersion: GROUP, kind: "FenceAgentsRemediation", namespace: "medik8s" },
          },
        ]);
        expect(scene.api.objects.peek(NODE_LEASE)?.spec).toMatchObject({
          holderIdentity: "holdfast",
          leaseDurationSeconds: 120,
        });
      }
      return undefined;
    };
    later(scene, 10_000, () => says(scene, "FenceAgentActionSucceeded", "True"));
    expect(await fence(scene)).toEqual({ outcome: "done" });
    const [made, ...more] = remediations(scene);
    expect(more).toEqual([]);
    expect(made).toMatchObject({
      apiVersion: GROUP,
      kind: "FenceAgentsRemediation",
      metadata: {
        name: expect.stringMatching(/^worker-1-[a-z0-9]{5}$/),
        annotations: {
          "remediation.medik8s.io/node-name": NODE,
          "remediation.medik8s.io/template-name": "reboot",
        },
        labels: { "holdfast.dev/fencing": scene.fencingFact().uid, "holdfast.dev/level": "far" },
        ownerReferences: [{ kind: "NodeFencing", uid: scene.fencingFact().uid, controller: false }],
      },
      spec: { agent: "fence_ipmilan", sharedparameters: { "--lanplus": "" } },
    });
    expect(scene.ledger).toMatchObject({
      phase: "Fenced",
      attempts: [{ number: 1, outcome: "Remediated" }],
      proof: {
        type: "Remediated",
        bootID: BOOT_ID,
        attempt: 1,
        remediation: { kind: "FenceAgentsRemediation", namespace: "medik8s", uid: made?.metadata.uid },
      },
    });
    expect(scene.ledger.proof?.acceptedAs).toBeUndefined();
  });

  it("makes none while the answer that should list them is no list, or has no end", async () => {
    for (const [answer, says] of [
      [{ kind: "Status" }, "is not a list"],
      [{ items: [], metadata: { continue: "more" } }, "lists more than"],
    ] as const) {
      const scene = remediationScene();
      scene.fencing();
      scene.api.intercept = ({ method, path }) =>
        method === "GET" && path === REMEDIATIONS ? { ok: true, status: 200, value: answer } : undefined;
      expect(await fence(scene)).toMatchObject({ outcome: "refused" });
      expect(scene.ledger.attempts).toMatchObject([{ answer: expect.stringContaining(says) }]);
      expect(remediations(scene)).toEqual([]);
    }
  });

  it("reads all pages: one that is under way on the second is waited for", async () => {
    const scene = remediationScene();
    scene.fencing();
    const theirs = {
      metadata: {
        name: NODE,
        namespace: "medik8s",
        uid: "theirs",
        creationTimestamp: "2026-01-01T00:00:00Z",
      },
    };
    scene.api.intercept = ({ method, path, query }) => {
      if (method !== "GET" || path !== REMEDIATIONS) return undefined;
      const last = query?.["continue"] === "2";
      const value = last ? { items: [theirs] } : { items: [], metadata: { continue: "2" } };
      return { ok: true, status: 200, value };
    };
    await fence(scene);
    expect(remediations(scene)).toEqual([]);
    expect(scene.ledger.attempts).toMatchObject([{ answer: expect.stringContaining("somebody else") }]);
  });

  it("names it like the node where the template knows no other way, and marks a control-plane node", async () => {
    const scene = remediationScene(false);
    scene.api.objects.change(NODE_PATH, (node) => {
      node.metadata.labels = { "node-role.kubernetes.io/control-plane": "" };
    });
    scene.fencing();
    later(scene, 1_000, () => says(scene, "FenceAgentActionSucceeded", "True"));
    await fence(scene);
    expect(remediations(scene)).toMatchObject([
      { metadata: { name: NODE, labels: { "remediation.medik8s.io/isControlPlaneNode": "" } } },
    ]);
  });

  it("is refused for a node that must not be remediated, and makes nothing", async () => {
    const scene = remediationScene();
    scene.api.objects.change(NODE_PATH, (node) => {
      node.metadata.labels = { "remediation.medik8s.io/exclude-from-remediation": "true" };
    });
    scene.fencing();
    expect(await fence(scene)).toMatchObject({ outcome: "refused" });
    expect(scene.ledger.attempts).toMatchObject([{ outcome: "Refused" }]);
    expect(remediations(scene)).toEqual([]);
    expect(scene.api.objects.peek(NODE_LEASE)).toBeUndefined();
  });

  it("is refused while somebody else holds the node, and takes over from one that has died", async () => {
    const held = remediationScene();
    held.fencing();
    const spec = { holderIdentity: "node-maintenance", leaseDurationSeconds: 3_600, leaseTransitions: 4 };
    held.api.objects.seed(NODE_LEASE, { spec: { ...spec, renewTime: "2026-11-22T00:00:00.000000Z" } });
    await fence(held);
    expect(held.ledger.attempts).toMatchObject([
      { outcome: "Refused", answer: expect.stringContaining("node-maintenance") },
    ]);
    expect(remediations(held)).toEqual([]);

    const dead = remediationScene();
    dead.fencing();
    dead.api.objects.seed(NODE_LEASE, { spec: { ...spec, renewTime: "2026-11-21T22:59:00.000000Z" } });
    later(dead, 1_000, () => says(dead, "FenceAgentActionSucceeded", "True"));
    expect(await fence(dead)).toEqual({ outcome: "done" });
    expect(dead.api.objects.peek(NODE_LEASE)?.spec).toMatchObject({
      holderIdentity: "holdfast",
      leaseTransitions: 5,
    });
  });

  it("renews the Lease while it waits", async () => {
    const scene = remediationScene();
    scene.fencing();
    later(scene, 55_000, () => says(scene, "FenceAgentActionSucceeded", "True"));
    await fence(scene);
    expect(scene.api.objects.peek(NODE_LEASE)?.spec).toMatchObject({
      renewTime: expect.stringMatching(/^2026-11-22T00:00:4\d/),
    });
  });

  it("tells it to stop when its time is over, and ends as TimedOut with what it said last", async () => {
    const scene = remediationScene();
    scene.fencing();
    later(scene, 5_000, () => says(scene, "Processing", "True"));
    expect(await fence(scene)).toMatchObject({ outcome: "refused" });
    expect(scene.ledger.attempts).toMatchObject([
      { outcome: "TimedOut", answer: expect.stringContaining("Processing=True") },
    ]);
    expect(remediations(scene)).toMatchObject([
      { metadata: { annotations: { [TIMED_OUT]: expect.stringMatching(/^2026-11-22T00:01:\d\dZ$/) } } },
    ]);
    expect(scene.ledger.proof).toBeUndefined();
  });

  it("ends when the remediator fails, and the next attempt makes another", async () => {
    const scene = remediationScene();
    scene.fencing();
    later(scene, 3_000, () => says(scene, "Succeeded", "False"));
    await fence(scene);
    expect(scene.ledger.attempts).toMatchObject([
      { outcome: "Refused", answer: expect.stringContaining("Succeeded=False") },
    ]);
    later(scene, 3_000, () => {
      const [, second] = scene.api.objects.list(REMEDIATIONS);
      scene.api.objects.change(second ?? "", (object) => {
        object.status = { conditions: [{ type: "FenceAgentActionSucceeded", status: "True" }] };
      });
    });
    expect(await fence(scene)).toEqual({ outcome: "done" });
    expect(new Set(remediations(scene).map(({ metadata }) => metadata.name)).size).toBe(2);
  });

  it("makes another under the node's own name only after the failed one is gone", async () => {
    const scene = remediationScene(false);
    scene.fencing();
    later(scene, 3_000, () => says(scene, "Succeeded", "False"));
    await fence(scene);
    const [first] = remediations(scene);
    scene.api.objects.change(`${REMEDIATIONS}/${NODE}`, (object) => (object.metadata.finalizers = ["far"]));
    later(scene, 5_000, () => scene.api.objects.drop(`${REMEDIATIONS}/${NODE}`));
    later(scene, 15_000, () => says(scene, "FenceAgentActionSucceeded", "True"));
    expect(await fence(scene)).toEqual({ outcome: "done" });
    const [second] = remediations(scene);
    expect(second?.metadata.uid).not.toBe(first?.metadata.uid);
  });

  it("is not proven of a node that is heard, whatever the remediator says", async () => {
    const scene = remediationScene();
    scene.fencing();
    later(scene, 900, () => {
      scene.renewLease({ noticed: false });
      says(scene, "FenceAgentActionSucceeded", "True");
    });
    await fence(scene);
    expect(scene.ledger.attempts).toMatchObject([
      { outcome: "Abandoned", answer: expect.stringContaining("renewed its Lease") },
    ]);
    expect(scene.ledger.proof).toBeUndefined();
  });

  it("is called off when the node speaks again meanwhile", async () => {
    const scene = remediationScene();
    scene.fencing();
    later(scene, 8_000, () => scene.renewLease({ noticed: false }));
    await fence(scene);
    expect(scene.ledger.attempts).toMatchObject([{ outcome: "Abandoned" }]);
    expect(remediations(scene)).toMatchObject([
      { metadata: { annotations: { [TIMED_OUT]: expect.anything() } } },
    ]);
    expect(scene.clock.now().monotonicMs).toBeLessThan(20_000);
  });

  it("makes nothing for a node that speaks again before it", async () => {
    const scene = remediationScene();
    scene.fencing();
    scene.api.intercept = ({ path }) => {
      if (path === TEMPLATE) scene.renewLease({ noticed: false });
      return undefined;
    };
    await fence(scene);
    expect(scene.ledger.attempts).toMatchObject([{ outcome: "Abandoned" }]);
    expect(remediations(scene)).toEqual([]);
  });

  it.each<[string, (scene: ActScene) => FencingLevel | undefined, RegExp]>([
    ["kind that is not served", () => settings({ kind: "OtherTemplate" }), /serves no kind OtherTemplate/],
    ["group that is not served", () => settings({ apiVersion: "example.com/v1" }), /is not served/],
    ["template that is not there", () => settings({ name: "gone" }), /Template medik8s\/gone: /],
    ["namespace left out", () => settings({ namespace: undefined }), /has a namespace/],
    [
      "template without a template",
      (scene) => {
        scene.api.objects.change(TEMPLATE, (template) => (template.spec = {}));
        return undefined;
      },
      /has no spec\.template/,
    ],
  ])("tells a %s as misconfigured", async (_what, prepare, answer) => {
    const scene = remediationScene();
    scene.fencing();
    const level = prepare(scene) ?? REMEDIATION;
    // A kind that nobody knows is weak, and only then looked for.
    await fence(scene, { level: { ...level, acceptWeakProof: ["Other"] } as FencingLevel });
    expect(scene.ledger.attempts).toMatchObject([
      { outcome: "Misconfigured", answer: expect.stringMatching(answer) },
    ]);
    expect(remediations(scene)).toEqual([]);
  });

  it("outlasts an API server that fails for a while", async () => {
    const scene = remediationScene();
    scene.fencing();
    scene.api.intercept = ({ path }) => {
      const down = scene.clock.now().monotonicMs < 5_000 && path.startsWith(`/apis/${GROUP}`);
      return down ? failing("unreachable") : undefined;
    };
    later(scene, 8_000, () => says(scene, "FenceAgentActionSucceeded", "True"));
    expect(await fence(scene)).toEqual({ outcome: "done" });
  });

  it("only looks where nothing may be shot: a signal that is there counts, and nothing is made", async () => {
    const scene = remediationScene();
    scene.fencing();
    expect(await fence(scene, { mayPowerOff: false })).toMatchObject({ outcome: "unchanged" });
    expect(scene.api.writes).toEqual([]);
  });
});

describe("a weak kind", () => {
  const weak = (acceptWeakProof: readonly string[]): FencingLevel => ({
    ...settings({ kind: "SelfNodeRemediationTemplate" }),
    acceptWeakProof,
  });

  function selfNodeScene(): ActScene {
    const scene = remediationScene();
    scene.api.objects.change(`/apis/${GROUP}`, (discovery) => {
      discovery["resources"] = [
        { name: "fenceagentsremediations", kind: "SelfNodeRemediation", namespaced: true },
        { name: "fenceagentsremediationtemplates", kind: "SelfNodeRemediationTemplate", namespaced: true },
      ];
    });
    scene.fencing();
    return scene;
  }

  it("begins nothing where the level does not accept it by name", async () => {
    const scene = selfNodeScene();
    await fence(scene, { level: weak(["StorageBasedRemediation"]) });
    expect(scene.ledger.attempts).toMatchObject([
      { outcome: "Misconfigured", answer: expect.stringContaining("SelfNodeRemediation") },
    ]);
    expect(remediations(scene)).toEqual([]);
  });

  it("proves by its horizon where it is accepted, and not before the horizon has passed", async () => {
    const scene = selfNodeScene();
    later(scene, 5_000, () => {
      for (const path of scene.api.objects.list(REMEDIATIONS)) {
        scene.api.objects.change(path, (object) => {
          object.status = { phase: "Reboot-Completed", timeAssumedRebooted: "2026-11-22T00:00:30Z" };
        });
      }
    });
    expect(await fence(scene, { level: weak(["SelfNodeRemediation"]) })).toEqual({ outcome: "done" });
    expect(scene.clock.now().monotonicMs).toBeGreaterThanOrEqual(30_000);
    expect(scene.ledger.proof).toMatchObject({
      type: "SelfFenced",
      horizon: "2026-11-22T00:00:30Z",
      acceptedAs: "SelfNodeRemediation",
      remediation: { kind: "SelfNodeRemediation" },
    });
  });
});

describe("a remediation that somebody else has made", () => {
  const theirs = (scene: ActScene, change: object = {}) =>
    scene.api.objects.seed(`${REMEDIATIONS}/worker-1-abcde`, {
      metadata: {
        annotations: { "remediation.medik8s.io/node-name": NODE },
        ownerReferences: [{ kind: "NodeHealthCheck", name: "nhc", uid: "nhc-uid" }],
        creationTimestamp: "2026-11-22T00:00:40Z",
      },
      ...change,
    });
  const acted = (at: string) => ({
    status: { conditions: [{ type: "FenceAgentActionSucceeded", status: "True", lastTransitionTime: at }] },
  });

  it("is waited for instead of a second one being made, and is never told to stop", async () => {
    const scene = remediationScene();
    scene.fencing();
    theirs(scene);
    later(scene, 20_000, () => says(scene, "FenceAgentActionSucceeded", "True"));
    expect(await fence(scene)).toEqual({ outcome: "done" });
    expect(remediations(scene)).toHaveLength(1);
    expect(scene.api.objects.peek(NODE_LEASE)).toBeUndefined();
    expect(scene.ledger.proof).toMatchObject({ type: "Remediated", remediation: { name: "worker-1-abcde" } });
    const slow = remediationScene();
    slow.fencing();
    theirs(slow);
    await fence(slow);
    expect(slow.ledger.attempts).toMatchObject([{ outcome: "TimedOut" }]);
    expect(remediations(slow)[0]?.metadata.annotations).not.toHaveProperty(TIMED_OUT);
  });

  it("is waited for while NodeHealthCheck holds the node and has not made it yet", async () => {
    const scene = remediationScene();
    scene.fencing();
    const renewTime = "2026-11-22T00:00:00.000000Z";
    const spec = { holderIdentity: "NodeHealthCheck-nhc", leaseDurationSeconds: 660, renewTime };
    scene.api.objects.seed(NODE_LEASE, { spec });
    later(scene, 4_000, () => theirs(scene, acted("2026-11-22T00:00:45Z")));
    expect(await fence(scene)).toEqual({ outcome: "done" });
    expect(remediations(scene)).toHaveLength(1);
  });

  it("proves nothing of this boot by a word that is older than the node's last sign of life", async () => {
    const scene = remediationScene();
    scene.fencing();
    theirs(scene, acted("2026-11-21T23:59:50Z"));
    later(scene, 10_000, () => {
      const ours = scene.api.objects.list(REMEDIATIONS).find((path) => !path.endsWith("abcde")) ?? "";
      scene.api.objects.change(ours, (object) => {
        object.status = { conditions: [{ type: "FenceAgentActionSucceeded", status: "True" }] };
      });
    });
    expect(await fence(scene)).toEqual({ outcome: "done" });
    expect(scene.ledger.proof?.remediation?.name).not.toBe("worker-1-abcde");
  });

  it("proves nothing by a word that is older than a renewal which came late, however silent the node is since", async () => {
    const proofAfter = async (renewTime: string) => {
      const scene = remediationScene();
      scene.fencing();
      theirs(scene, acted("2026-11-22T00:00:06Z"));
      scene.api.objects.change(LEASE_PATH, (lease) => (lease.spec = { renewTime }));
      await fence(scene);
      expect(scene.ledger.attempts).toMatchObject([{ outcome: "Abandoned" }]);
      await scene.clock.advance(60_000);
      await fence(scene, { epoch: EPOCH + 1 });
      return scene.ledger.proof?.remediation?.name;
    };
    expect(await proofAfter("2026-11-22T00:00:00.500000Z"), "written before the act").toBe("worker-1-abcde");
    expect(await proofAfter("2026-11-22T00:00:08.000000Z"), "written after the act").toBeUndefined();
  });
});

describe("two leaders", () => {
  it("make one remediation, though the first died right after it", async () => {
    const scene = remediationScene();
    scene.fencing();
    scene.api.intercept = (request) => {
      if (request.method !== "POST" || request.path !== REMEDIATIONS) return undefined;
      const answer = scene.api.answer(request);
      scene.leading = false;
      return answer;
    };
    expect(await fence(scene)).toMatchObject({ outcome: "stale" });
    expect(remediations(scene)).toHaveLength(1);
    scene.leading = true;
    scene.api.intercept = () => undefined;
    later(scene, 5_000, () => says(scene, "FenceAgentActionSucceeded", "True"));
    expect(await fence(scene, { epoch: EPOCH + 1 })).toEqual({ outcome: "done" });
    expect(remediations(scene)).toHaveLength(1);
    expect(scene.ledger.attempts).toMatchObject([{ outcome: "Abandoned" }, { outcome: "Remediated" }]);
  });

  it("arrive at one name, so that a late request of the first makes no second", async () => {
    const names = [];
    for (const epoch of [EPOCH, EPOCH + 1]) {
      const scene = remediationScene();
      scene.fencing();
      await fence(scene, { epoch });
      names.push(remediations(scene)[0]?.metadata.name);
    }
    expect(names[0]).toBe(names[1]);
  });
});

describe("lifting a remediation", () => {
  async function remediated(signal: "FenceAgentActionSucceeded" | "Processing"): Promise<ActScene> {
    const scene = remediationScene();
    scene.fencing();
    later(scene, 1_000, () => says(scene, signal, "True"));
    await fence(scene);
    scene.reboot();
    return scene;
  }
  const lift = (scene: ActScene) => {
    const step = { kind: "LiftRemediation", fencing: scene.fencingFact() } as const;
    return scene.finish(performLiftRemediation(step, scene.context()));
  };

  it("deletes what the ledger had made, and nothing else, and lets the node's Lease go", async () => {
    const scene = await remediated("FenceAgentActionSucceeded");
    scene.api.objects.seed(`${REMEDIATIONS}/theirs`, {});
    expect(await lift(scene)).toEqual({ outcome: "done" });
    expect(remediations(scene).map(({ metadata }) => metadata.name)).toEqual(["theirs"]);
    expect(scene.api.objects.peek(NODE_LEASE)).toBeUndefined();
    expect(scene.ledger.remediationsLiftedAt).toBeDefined();
    expect(
      scene.api.writes.filter((line) => line.startsWith("PATCH") && line.includes("remediations/")),
    ).toEqual([]);
  });

  it("tells one that is still at work to stop before it is deleted", async () => {
    const scene = remediationScene();
    scene.fencing();
    scene.api.intercept = ({ method, path }) => {
      if (method === "POST" && path === REMEDIATIONS) later(scene, 100, () => (scene.leading = false));
      return undefined;
    };
    await fence(scene);
    scene.leading = true;
    scene.api.intercept = () => undefined;
    const from = scene.api.writes.length;
    expect(await lift(scene)).toEqual({ outcome: "done" });
    const [name] = scene.api.writes.slice(from).map((line) => line.split("/").at(-1));
    expect(scene.api.writes.slice(from)).toEqual([
      `PATCH ${REMEDIATIONS}/${name}`,
      `DELETE ${REMEDIATIONS}/${name}`,
      `DELETE ${NODE_LEASE}`,
      `PATCH ${FENCING_PATH}/status`,
    ]);
  });

  it("waits for another boot ID where VMs were released, unless the Node object is gone", async () => {
    const scene = await remediated("FenceAgentActionSucceeded");
    scene.api.objects.change(NODE_PATH, (node) => (node.status = { nodeInfo: { bootID: BOOT_ID } }));
    const from = scene.api.writes.length;
    expect(await lift(scene)).toMatchObject({
      outcome: "refused",
      detail: expect.stringContaining(`still shows boot ID ${BOOT_ID}`),
    });
    expect(scene.api.writes.slice(from)).toEqual([]);
    scene.api.objects.drop(NODE_PATH);
    expect(await lift(scene)).toEqual({ outcome: "done" });
  });

  it("leaves somebody else's Lease alone, and is done where the operator was removed", async () => {
    const scene = await remediated("FenceAgentActionSucceeded");
    scene.api.objects.change(NODE_LEASE, (lease) => (lease.spec = { holderIdentity: "node-maintenance" }));
    scene.api.objects.drop(`/apis/${GROUP}`);
    expect(await lift(scene)).toEqual({ outcome: "done" });
    expect(scene.api.objects.peek(NODE_LEASE)).toBeDefined();
  });

  it("is tried again where the API server fails, and not done before", async () => {
    const scene = await remediated("FenceAgentActionSucceeded");
    scene.api.intercept = ({ method }) => (method === "DELETE" ? failing("timeout") : undefined);
    expect(await lift(scene)).toMatchObject({ outcome: "retry" });
    expect(scene.ledger.remediationsLiftedAt).toBeUndefined();
  });
});

// Metal3Remediation needs a Machine of Cluster API as its owner; the rest of its contract is in test/contract.
import { describe, expect, it } from "vitest";
import { performFence } from "../../src/act/fence.ts";
import { checkExternal } from "../../src/act/readiness/external-check.ts";
import { failing, type SeenRequest } from "../support/fake-api.ts";
import { grantedRights, nameOf } from "../support/rights.ts";
import { type ExternalRig, remediationRig } from "../contract/external-rigs.ts";
import { NODE, NODE_PATH } from "./act-fixture.ts";

const GROUP = "/apis/cluster.x-k8s.io";
const MACHINE = `${GROUP}/v1beta1/namespaces/medik8s/machines/machine-1`;

function metal3Rig(adopted = false): ExternalRig {
  return remediationRig({
    kind: "Metal3Remediation",
    group: "infrastructure.cluster.x-k8s.io/v1beta1",
    machine: true,
    success: { phase: "Waiting" },
    noSignals: {},
    ...(adopted ? { adopted } : {}),
  });
}

function fence({ scene, level }: ExternalRig) {
  const step = { kind: "Fence", fencing: scene.fencingFact(), level, mayPowerOff: true } as const;
  return scene.finish(performFence(step, scene.context()));
}

const annotate = (annotations: Record<string, string>) => (rig: ExternalRig) =>
  rig.scene.api.objects.change(NODE_PATH, (node) => (node.metadata.annotations = annotations));
const changeMachine = (status: Record<string, unknown>) => (rig: ExternalRig) =>
  rig.scene.api.objects.change(MACHINE, (machine) => (machine.status = status));

/** The right that a request to a namespaced kind of another operator needs, as `nameOf` says it. */
function rightOf({ method, path }: SeenRequest): readonly string[] {
  const found = /^\/apis\/([^/]+)\/[^/]+\/namespaces\/([^/]+)\/([^/]+)(\/[^/]+)?$/.exec(path);
  if (found === null) return [];
  const [, group = "", home = "", resource = "", name] = found;
  const verbs = {
    GET: name === undefined ? "list" : "get",
    POST: "create",
    PATCH: "patch",
    DELETE: "delete",
  };
  if (method === "PUT" || home === "kube-node-lease") return [];
  const namespace = home === "medik8s-leases" ? home : "";
  return [nameOf({ namespace, group, resource, verb: verbs[method] })];
}

describe("a Metal3Remediation", () => {
  it("needs the rights of deploy/remediation.yaml, and all of them", async () => {
    const proven = metal3Rig();
    proven.scene.clock.schedule(30_000, () => proven.succeed());
    await fence(proven);
    proven.scene.reboot();
    expect(await proven.lift()).toEqual({ outcome: "done" });
    const timedOut = metal3Rig();
    await fence(timedOut);
    const used = [proven, timedOut].flatMap(({ scene }) => scene.api.seen.flatMap(rightOf));
    expect([...new Set(used)].sort()).toEqual(grantedRights("remediation.yaml").map(nameOf).sort());
  });

  it("is owned by the node's Machine, in the version that the server prefers, beside the ledger", async () => {
    const rig = metal3Rig();
    rig.scene.clock.schedule(5_000, () => rig.succeed());
    expect(await fence(rig)).toEqual({ outcome: "done" });
    expect(rig.objects()).toMatchObject([
      {
        object: {
          metadata: {
            namespace: "medik8s",
            ownerReferences: [
              { kind: "NodeFencing", controller: false },
              {
                apiVersion: "cluster.x-k8s.io/v1beta1",
                kind: "Machine",
                name: "machine-1",
                uid: "machine-uid",
              },
            ],
          },
        },
      },
    ]);
  });

  it.each<[string, (rig: ExternalRig) => unknown, RegExp]>([
    ["the node has no annotations", annotate({}), /worker-1 has no annotation cluster\.x-k8s\.io\/machine,/],
    [
      "the Machine's namespace is not told",
      annotate({ "cluster.x-k8s.io/machine": "machine-1" }),
      /has no annotation cluster\.x-k8s\.io\/cluster-namespace/,
    ],
    [
      "the Machine is in another namespace, where its controller would not look",
      annotate({ "cluster.x-k8s.io/machine": "machine-1", "cluster.x-k8s.io/cluster-namespace": "prod" }),
      /Machine prod\/machine-1 of worker-1 can own only .* the template is in medik8s/,
    ],
    [
      "the Machine is not there",
      ({ scene }) => scene.api.objects.drop(MACHINE),
      /Machine medik8s\/machine-1 of worker-1: .*not found/,
    ],
    [
      "Cluster API is not there",
      ({ scene }) => scene.api.objects.drop(GROUP),
      /cluster\.x-k8s\.io is not served here/,
    ],
    [
      "the Machine is another node's, as a kubelet could pretend",
      changeMachine({ nodeRef: { name: "worker-2" } }),
      /that one names worker-2 as its node/,
    ],
    [
      "the Machine is of an earlier Node of that name",
      changeMachine({ nodeRef: { name: NODE, uid: "old-node-uid" } }),
      /names Machine medik8s\/machine-1, but/,
    ],
    ["the Machine has no node", changeMachine({}), /that one names no node as its node/],
    [
      "the Machine is being deleted",
      ({ scene }) =>
        scene.api.objects.change(MACHINE, ({ metadata }) => {
          metadata.deletionTimestamp = "2026-11-22T00:00:00Z";
        }),
      /is being deleted/,
    ],
  ])("is refused where %s, before the outage and in it", async (_what, happen, says) => {
    const rig = metal3Rig();
    const ready = () => rig.scene.finish(checkExternal(rig.scene.context(), rig.level, NODE));
    expect(await ready()).toMatchObject({ kind: "ready" });
    happen(rig);
    expect(await ready()).toMatchObject({ kind: "broken", message: expect.stringMatching(says) });
    await fence(rig);
    expect(rig.scene.ledger.attempts).toMatchObject([
      { outcome: "Misconfigured", answer: expect.stringMatching(says) },
    ]);
    expect(rig.objects()).toEqual([]);
  });

  it("waits for an API server that does not answer when asked for the Machine", async () => {
    const rig = metal3Rig();
    rig.scene.api.intercept = ({ path }) =>
      path === MACHINE && rig.scene.clock.now().monotonicMs < 5_000 ? failing("unreachable") : undefined;
    rig.scene.clock.schedule(10_000, () => rig.succeed());
    expect(await fence(rig)).toEqual({ outcome: "done" });
  });

  it("of a MachineHealthCheck is known by its Machine and not by its name, which is the Machine's", async () => {
    const rig = metal3Rig(true);
    // Bears this node's name, and is of another node's Machine.
    const [theirs] = rig.objects();
    const misleading = theirs?.path.replace(`${NODE}-theirs`, NODE) ?? "";
    rig.scene.api.objects.seed(misleading, {
      metadata: {
        creationTimestamp: "2026-11-22T00:00:20Z",
        ownerReferences: [{ kind: "Machine", name: "machine-2", uid: "machine-2-uid" }],
      },
      status: { phase: "Waiting" },
    });
    rig.scene.clock.schedule(5_000, () => rig.succeed([theirs?.path ?? ""]));
    expect(await fence(rig)).toEqual({ outcome: "done" });
    expect(rig.scene.ledger.proof?.remediation?.uid).toBe(theirs?.object.metadata.uid);
    expect(rig.objects()).toHaveLength(2);
  });
});

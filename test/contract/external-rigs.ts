// One scene per external fencing method: its kinds on the fake API server, and the words of its controller.
import { performLiftRemediation } from "../../src/act/lift-remediation.ts";
import type { PerformedStep } from "../../src/act/outcome.ts";
import { performUnfenceStorage } from "../../src/act/unfence-storage.ts";
import type { ExternalLevel } from "../../src/model/fencing.ts";
import { STORAGE_CLIENTS_ANNOTATION } from "../../src/model/storage-clients.ts";
import { ActScene, BOOT_ID, EPOCH, NODE, NODE_PATH, NODE_UID } from "../act/act-fixture.ts";
import type { FakeObject } from "../support/fake-objects.ts";

/** What the remediator's template holds and nobody may see. */
export const SECRET = "hunter2-s3cret";
/** Longer than anything that may go on record. */
const TIRADE = `it went wrong with ${SECRET}, ${"and on ".repeat(300)}`;

/** One method on one lost node, with its controller in the test's hand. */
export interface ExternalRig {
  readonly scene: ActScene;
  readonly level: ExternalLevel;
  /** What the level must accept by name; undefined for a method whose word proves. */
  readonly weakName: string | undefined;
  readonly proofType: "Remediated" | "SelfFenced" | "StorageFenced";
  /** How an attempt ends whose controller says that it failed. `TimedOut`: somebody else may yet make another. */
  readonly failsAs: "Refused" | "TimedOut";
  /** Whether a word that comes after its attempt has ended counts for the next one: of a state that is still so, it does. */
  readonly lateWordCounts: boolean;
  /** Whether the object whose signal counts is somebody else's. */
  readonly adopted: boolean;
  /** Every object of the method's kind, with its path. */
  readonly objects: () => readonly { readonly path: string; readonly object: FakeObject }[];
  /** The controller says of these, or of all, that it is done. */
  readonly succeed: (paths?: readonly string[]) => void;
  readonly fail: () => void;
  /** Words that are no signal, by what they are. */
  readonly noSignals: Readonly<Record<string, () => void>>;
  /** Undoes what the method did; its controller plays along. */
  readonly lift: (epoch?: number) => Promise<PerformedStep>;
  /** Puts an object of the same kind there that is of another node, with its own success. */
  readonly seedAnothers: () => string;
}

interface RemediationKind {
  readonly kind: string;
  readonly weak?: true;
  /** Its template understands the annotations, so that names are its own. */
  readonly several?: true;
  /** NodeHealthCheck has made one before us. */
  readonly adopted?: true;
  readonly group?: string;
  /** Cluster API Machine that owns the node. */
  readonly machine?: true;
  readonly success: object;
  readonly failure?: object;
  readonly noSignals: Readonly<Record<string, object>>;
}

const MACHINE_UID = "machine-uid";
/** Later than the node's last sign of life by more than clocks may differ. */
const LATER = "2026-11-22T00:00:20Z";

/** A condition as its controller sets it. */
export function said(type: string, status: "True" | "False" | "Unknown", reason = "Said"): object {
  return { conditions: [{ type, status, reason, message: TIRADE, lastTransitionTime: LATER }] };
}

/** A rig for one kind of remediation. */
export function remediationRig(traits: RemediationKind): ExternalRig {
  const scene = new ActScene();
  const { objects } = scene.api;
  const apiVersion = traits.group ?? "example.medik8s.io/v1alpha1";
  const plural = `${traits.kind.toLowerCase()}s`;
  const templates = `${traits.kind.toLowerCase()}templates`;
  const collection = `/apis/${apiVersion}/namespaces/medik8s/${plural}`;
  objects.seed(`/apis/${apiVersion}`, {
    resources: [
      { name: plural, kind: traits.kind, namespaced: true },
      { name: templates, kind: `${traits.kind}Template`, namespaced: true },
    ],
  });
  const spec = { sharedparameters: { "--ip": "192.0.2.7", "--password": SECRET } };
  objects.seed(`/apis/${apiVersion}/namespaces/medik8s/${templates}/power`, {
    metadata: {
      annotations:
        traits.several === true ? { "remediation.medik8s.io/multiple-templates-support": "true" } : {},
    },
    spec: { template: { spec } },
  });
  objects.serve(collection);
  const owned = traits.machine === true ? seedMachine(scene) : {};
  if (traits.adopted === true) {
    objects.seed(`${collection}/${NODE}-theirs`, {
      metadata: {
        namespace: "medik8s",
        annotations: { "remediation.medik8s.io/node-name": NODE },
        creationTimestamp: LATER,
        ...owned,
      },
      spec,
    });
  }
  scene.fencing();
  const paths = () => objects.list(collection);
  const set = (status: object, which: readonly string[] = paths()) => {
    for (const path of which) {
      if (objects.peek(path) !== undefined) objects.change(path, (object) => (object.status = { ...status }));
    }
  };
  const weakName = traits.weak === true ? traits.kind : undefined;
  return {
    scene,
    level: {
      name: "external",
      method: "Remediation",
      timeoutMs: 60_000,
      retries: 0,
      backoffMs: 5_000,
      acceptWeakProof: weakName === undefined ? [] : [weakName],
      remediation: {
        template: { apiVersion, kind: `${traits.kind}Template`, name: "power", namespace: "medik8s" },
      },
    },
    weakName,
    proofType: traits.kind === "SelfNodeRemediation" ? "SelfFenced" : "Remediated",
    failsAs: traits.adopted === true ? "TimedOut" : "Refused",
    lateWordCounts: traits.adopted === true,
    adopted: traits.adopted === true,
    objects: () =>
      paths().flatMap((path) => {
        const object = objects.peek(path);
        return object === undefined ? [] : [{ path, object }];
      }),
    succeed: (which) => set(traits.success, which),
    fail: () => set(traits.failure ?? said("Succeeded", "False")),
    noSignals: {
      ...Object.fromEntries(
        Object.entries(traits.noSignals).map(([what, status]) => [what, () => set(status)]),
      ),
      "silence of its own and success of another node's": () => void seedOther(),
    },
    lift: (epoch = EPOCH) =>
      scene.finish(
        performLiftRemediation(
          { kind: "LiftRemediation", fencing: scene.fencingFact() },
          scene.context(epoch),
        ),
      ),
    seedAnothers: seedOther,
  };

  function seedOther(): string {
    const path = `${collection}/worker-2`;
    const ownerReferences = [{ kind: "Machine", name: "machine-2", uid: "machine-2-uid" }];
    objects.seed(path, {
      metadata: {
        namespace: "medik8s",
        annotations: { "remediation.medik8s.io/node-name": "worker-2" },
        creationTimestamp: LATER,
        ownerReferences,
      },
      status: traits.success,
    });
    return path;
  }
}

/** Cluster API's Machine of the node; answers what an object owned by it holds. */
function seedMachine(scene: ActScene): object {
  const { objects } = scene.api;
  objects.seed("/apis/cluster.x-k8s.io", { preferredVersion: { groupVersion: "cluster.x-k8s.io/v1beta1" } });
  objects.seed("/apis/cluster.x-k8s.io/v1beta1/namespaces/medik8s/machines/machine-1", {
    metadata: { uid: MACHINE_UID },
    status: { nodeRef: { name: NODE, uid: NODE_UID } },
  });
  objects.change(NODE_PATH, (node) => {
    node.metadata.annotations = {
      "cluster.x-k8s.io/machine": "machine-1",
      "cluster.x-k8s.io/cluster-namespace": "medik8s",
    };
  });
  return { ownerReferences: [{ kind: "Machine", name: "machine-1", uid: MACHINE_UID }] };
}

const FENCES = "/apis/csiaddons.openshift.io/v1alpha1/networkfences";
const CIDR = "10.0.0.7/32";
const FENCED = { result: "Succeeded", message: "fencing operation successful" };
const UNFENCED = { result: "Succeeded", message: "unfencing operation successful" };

/** A rig for CSI-Addons. */
export function networkFenceRig(): ExternalRig {
  const scene = new ActScene();
  const { objects } = scene.api;
  objects.serve(FENCES);
  objects.serve("/api/v1/nodes");
  objects.change(NODE_PATH, (node) => {
    const record = { bootID: BOOT_ID, recordedAt: "2026-11-21T23:59:00.000Z", classes: { ceph: [CIDR] } };
    node.metadata.annotations = { [STORAGE_CLIENTS_ANNOTATION]: JSON.stringify(record) };
  });
  scene.fencing();
  const ours = () => objects.list(FENCES).filter((path) => !path.endsWith("/theirs"));
  const set = (change: (object: FakeObject) => void, which: readonly string[] = ours()) => {
    for (const path of which) if (objects.peek(path) !== undefined) objects.change(path, change);
  };
  const seedOther = () => {
    const path = `${FENCES}/theirs`;
    objects.seed(path, {
      metadata: { labels: { "holdfast.dev/fencing": "another-ledger" } },
      spec: { networkFenceClassName: "ceph", fenceState: "Fenced", cidrs: ["10.0.0.9/32"] },
      status: FENCED,
    });
    return path;
  };
  return {
    scene,
    level: {
      name: "external",
      method: "NetworkFence",
      timeoutMs: 60_000,
      retries: 0,
      backoffMs: 5_000,
      acceptWeakProof: ["StorageFenced"],
      networkFence: { className: "ceph", cidrs: [] },
    },
    weakName: "StorageFenced",
    proofType: "StorageFenced",
    failsAs: "Refused",
    lateWordCounts: true,
    adopted: false,
    objects: () =>
      objects.list(FENCES).flatMap((path) => {
        const object = objects.peek(path);
        return object === undefined ? [] : [{ path, object }];
      }),
    succeed: (which) => set((object) => (object.status = { ...FENCED }), which),
    fail: () => set((object) => (object.status = { result: "Failed", message: TIRADE.replace(SECRET, "") })),
    noSignals: {
      "the result of an unfencing": () => set((object) => (object.status = { ...UNFENCED })),
      "success for other addresses": () =>
        set((object) => {
          object.spec = { ...object.spec, cidrs: ["10.0.0.8/32"] };
          object.status = { ...FENCED };
        }),
      "success of an object that was changed to and fro": () =>
        set((object) => {
          object.metadata.generation += 2;
          object.status = { ...FENCED };
        }),
      "success of an object that lost our label": () =>
        set((object) => {
          object.metadata.labels = {};
          object.status = { ...FENCED };
        }),
      "silence of its own and success of another node's": () => void seedOther(),
    },
    lift: (epoch = EPOCH) => {
      const step = { kind: "UnfenceStorage", fencing: scene.fencingFact() } as const;
      scene.clock.schedule(2_000, () =>
        set((object) => {
          if (object.spec?.["fenceState"] === "Unfenced") object.status = { ...UNFENCED };
        }),
      );
      return scene.finish(performUnfenceStorage(step, scene.context(epoch)));
    },
    seedAnothers: seedOther,
  };
}

// One fenced node in a fake API server, and a context to perform steps in.
import { expect } from "vitest";
import { deviceFingerprint } from "../../src/act/readiness/level-check.ts";
import { readinessCondition } from "../../src/api/fencing-readiness.ts";
import { createActContext, type ActContext, type NodeReading } from "../../src/act/context.ts";
import type { FenceDevice } from "../../src/act/fence/fence-device.ts";
import { nodeFencing } from "../../src/api/node-fencing.ts";
import type { ApiOutcome } from "../../src/kube/transport.ts";
import type { FenceProof, FencingFact, FencingLevel, FencingStatus } from "../../src/model/fencing.ts";
import { parseFenceProof } from "../../src/model/fencing.ts";
import { FakeApi } from "../support/fake-api.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { FakeDevice, IDENTITY } from "./fake-device.ts";

export const NODE = "worker-1";
export const NODE_PATH = `/api/v1/nodes/${NODE}`;
export const LEASE_PATH = `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${NODE}`;
export const SECRET_PATH = "/api/v1/namespaces/holdfast-system/secrets/bmc";
export const FENCINGS = "/apis/holdfast.dev/v1alpha1/nodefencings";
export const FENCING_PATH = `${FENCINGS}/nf-worker-1`;
export const NODE_UID = "node-uid";
export const BOOT_ID = "boot-1";
export const EPOCH = 7;

/** How long the node has been silent when a test begins; a node counts as lost after 25 s. */
const SILENT_MS = 60_000;
const LOST_AFTER_MS = 25_000;

export const LEVEL: Extract<FencingLevel, { method: "Redfish" }> = {
  name: "bmc",
  method: "Redfish",
  timeoutMs: 60_000,
  retries: 2,
  backoffMs: 5_000,
  redfish: {
    address: "https://bmc-${node.name}.example.com",
    systemId: "1",
    auth: "Auto",
    credentialsSecret: { name: "bmc", namespace: undefined },
    caSecret: undefined,
    insecureSkipVerify: false,
  },
};

const STATUS: FencingStatus = {
  phase: "Pending",
  epoch: 0,
  attempts: [],
  releasedVMs: [],
  conditions: [],
};

/** What readiness has left on the node: its device was last read On while it lived. */
const SEEN_ON = readinessCondition(
  {
    level: "bmc",
    ready: true,
    reason: "DeviceReady",
    message: "says On",
    seen: {
      state: "On",
      device: deviceFingerprint("Redfish https://bmc-worker-1.example.com", IDENTITY),
    },
    since: undefined,
  },
  "2026-11-21T00:00:00Z",
);

/** Marks the requests that the facts make for us: they answer for their own deadlines. */
export const BY_FACTS = { method: "GET", query: { reader: "facts" } } as const;

/** Everything a step meets, and what it left behind. */
export class ActScene {
  readonly clock = new VirtualClock();
  readonly api = new FakeApi();
  device: FenceDevice = new FakeDevice(this.clock);
  readonly ownWrites: string[] = [];
  readonly ownDeletes: string[] = [];
  readonly warnings: string[] = [];
  readonly opened: unknown[] = [];
  leading = true;
  /** Why fencing is disarmed, where it is. */
  disarm: string | undefined;
  readonly leadership = new AbortController();
  /** When our watch last saw the Lease change. */
  leaseChangedAtMs: number | undefined = -SILENT_MS;
  #knownRenewTime: string | undefined;

  constructor() {
    this.api.objects.seed(NODE_PATH, {
      metadata: { uid: NODE_UID, labels: { rack: "r1" } },
      spec: {
        taints: [
          { key: "node.kubernetes.io/unreachable", effect: "NoExecute", timeAdded: "2026-11-22T00:00:00Z" },
        ],
      },
      status: {
        nodeInfo: { bootID: BOOT_ID, systemUUID: IDENTITY.uuid },
        conditions: [{ type: "Ready", status: "Unknown" }, SEEN_ON],
      },
    });
    this.api.objects.seed(LEASE_PATH, { spec: { renewTime: "t0" } });
    this.#knownRenewTime = "t0";
    const data = { username: btoa("admin"), password: btoa("s3cret\n") };
    this.api.objects.seed(SECRET_PATH, { data });
  }

  /** A context of the leader with this epoch. */
  context(epoch = EPOCH): ActContext {
    return createActContext({
      transport: this.api,
      clock: this.clock,
      random: () => 0.5,
      namespace: "holdfast-system",
      fieldManager: "holdfast",
      policy: { nodeLostAfterMs: LOST_AFTER_MS, nodeSuspectAfterMs: LOST_AFTER_MS / 2 },
      leadership: { epoch, valid: () => this.leading, signal: this.leadership.signal },
      facts: {
        applyOwnWrite: (resource, raw) => {
          const { metadata } = raw as { metadata: { name: string } };
          this.ownWrites.push(`${resource}/${metadata.name}`);
        },
        applyOwnDelete: (resource, key, uid) => this.ownDeletes.push(`${resource}/${key}/${uid}`),
        refreshNode: (name) => this.#refreshNode(name),
        disarmedBy: async () => ({ ok: true, status: 200, value: this.disarm }),
      },
      log: { info: () => {}, warn: (_fields, message) => this.warnings.push(message) },
      openDevice: (access) => {
        this.opened.push(access);
        return this.device;
      },
    });
  }

  /** The kubelet writes its Lease. `noticed`: our watch has told us already. */
  renewLease(options: { readonly noticed: boolean }): void {
    const renewTime = `t${this.clock.now().monotonicMs + 1}`;
    this.api.objects.change(LEASE_PATH, (lease) => (lease.spec = { renewTime }));
    if (options.noticed) this.#noticeLease(renewTime);
  }

  /** Another kernel reports itself under the node's name. */
  reboot(): void {
    this.api.objects.change(NODE_PATH, (node) => (node.status = { nodeInfo: { bootID: "boot-2" } }));
  }

  /** Puts a ledger there and answers the fact of it. */
  fencing(status: Partial<FencingStatus> = {}): FencingFact {
    this.api.objects.seed(FENCING_PATH, {
      apiVersion: "holdfast.dev/v1alpha1",
      kind: "NodeFencing",
      spec: {
        nodeName: NODE,
        nodeUID: NODE_UID,
        bootID: BOOT_ID,
        topology: "all",
        reason: "NodeLost",
        detectedAt: "2026-11-22T00:00:00Z",
        lastSeenAt: "2026-11-22T00:00:00Z",
      },
      status: { ...STATUS, ...status },
    });
    return this.fencingFact();
  }

  /** The ledger that stands, as a fact; refuses one that our own CRD would not take. */
  fencingFact(): FencingFact {
    const { metadata, spec, status } = nodeFencing.stored.parse(this.api.objects.peek(FENCING_PATH));
    const { attempts = [], releasedVMs = [], conditions = [] } = status ?? STATUS;
    return {
      ...metadata,
      nodeName: spec.nodeName,
      nodeUID: spec.nodeUID,
      bootID: spec.bootID,
      topology: spec.topology,
      detectedAt: spec.detectedAt,
      lastSeenAt: spec.lastSeenAt,
      status: { ...(status ?? STATUS), attempts, releasedVMs, conditions },
      changedAtMs: 0,
      provenAtMs: undefined,
    };
  }

  get ledger(): FencingStatus {
    return this.fencingFact().status;
  }

  /** A proof as the ledger would give it. */
  proof(): FenceProof {
    const proof = {
      type: "PowerOff",
      bootID: BOOT_ID,
      observedAt: "2026-11-22T00:00:01Z",
      detail: "Off",
    } as const;
    const parsed = parseFenceProof({ ...this.fencing({ phase: "Fenced", proof }) }, undefined);
    if (parsed === undefined) throw new Error("no proof");
    return parsed;
  }

  /** Moves virtual time until the work has ended. */
  async finish<T>(work: Promise<T>): Promise<T> {
    const end = { reached: false };
    const watched = work.finally(() => (end.reached = true));
    for (let waitedMs = 0; !end.reached; waitedMs += 50) {
      expect(waitedMs, "the step never ends").toBeLessThan(600_000);
      await this.clock.advance(50);
    }
    return watched;
  }

  async #refreshNode(name: string): Promise<ApiOutcome<NodeReading>> {
    const node = await this.api.request<RawNode>({ ...BY_FACTS, path: `/api/v1/nodes/${name}` });
    if (!node.ok) return node;
    const lease = await this.api.request<RawLease>({ ...BY_FACTS, path: LEASE_PATH });
    if (!lease.ok && lease.kind !== "notFound") return lease;
    const renewTime = lease.ok ? lease.value.spec.renewTime : undefined;
    const leaseChanged = renewTime !== this.#knownRenewTime;
    if (leaseChanged) this.#noticeLease(renewTime);
    const { metadata, status } = node.value;
    const value: NodeReading = {
      uid: metadata.uid,
      bootID: status.nodeInfo.bootID,
      ready: status.conditions?.find((one) => one.type === "Ready")?.status,
      resourceVersion: metadata.resourceVersion,
      leaseRenewTime: renewTime,
      leaseChanged,
      leaseChangedAtMs: lease.ok ? this.leaseChangedAtMs : undefined,
    };
    return { ok: true, status: 200, value };
  }

  #noticeLease(renewTime: string | undefined): void {
    this.#knownRenewTime = renewTime;
    this.leaseChangedAtMs = this.clock.now().monotonicMs;
  }
}

interface RawNode {
  readonly metadata: { readonly uid: string; readonly resourceVersion: string };
  readonly status: {
    readonly nodeInfo: { readonly bootID: string };
    readonly conditions?: readonly { readonly type: string; readonly status: "True" | "False" | "Unknown" }[];
  };
}

interface RawLease {
  readonly spec: { readonly renewTime: string };
}

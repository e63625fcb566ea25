// NodeHealthCheck of the medik8s family as far as it meets us: a remediation for each node that has not been Ready for a
// while, unless too many are not or somebody else holds the node's Lease; withdrawn once the node is Ready again.
import { REMEDIATION_API_VERSION, REMEDIATOR_NAMESPACE } from "../../support/stand-in-remediator.ts";
import { objectIn, textOf } from "../api/json.ts";
import { resourceNamed } from "../api/resources.ts";
import type { StoredObject } from "../api/stored.ts";
import { BEGAN_WALL_MS } from "../world/sim-time.ts";
import { type ControllerPorts, isReady, nodesOf, repeatedly, write } from "./controller-ports.ts";

const USER = "serviceaccount:medik8s:node-healthcheck";
const HOLDER = "NodeHealthCheck-workers";
const PART_OF = { key: "app.kubernetes.io/part-of", value: "node-healthcheck-controller" } as const;
const NODE_NAME = "remediation.medik8s.io/node-name";
const EXCLUDED = "remediation.medik8s.io/exclude-from-remediation";
const LOOK_EVERY_MS = 2_000;
/** Its default duration of a remediation, and a minute. */
const LEASE_SECONDS = 660;
/** Below this share of healthy nodes nothing is remediated. */
const MIN_HEALTHY_SHARE = 0.51;
const REMEDIATIONS = resourceNamed(`${REMEDIATION_API_VERSION}/fenceagentsremediations`);
const LEASES = resourceNamed("coordination.k8s.io/v1/leases");
const PATH = `/apis/${REMEDIATION_API_VERSION}/namespaces/${REMEDIATOR_NAMESPACE}/fenceagentsremediations`;
const LEASE_PATH = "/apis/coordination.k8s.io/v1/namespaces/medik8s-leases/leases";

export interface HealthCheckOptions {
  /** How long a node is not Ready before it is remediated. */
  readonly unhealthyMs: number;
  /** Whether somebody has asked it to pause. */
  readonly isPaused: () => boolean;
  readonly template: string;
}

export function startNodeHealthCheck(ports: ControllerPorts, options: HealthCheckOptions): void {
  const unhealthySinceMs = new Map<string, number>();
  repeatedly(ports, LOOK_EVERY_MS, async () => {
    if (options.isPaused()) return;
    const nodes = nodesOf(ports);
    const healthy = nodes.filter(isReady).length;
    for (const node of nodes) {
      const { name, labels = {} } = node.metadata;
      const own = ownRemediationsOf(ports, name);
      if (isReady(node)) {
        unhealthySinceMs.delete(name);
        for (const { metadata } of own)
          await write(ports, USER, { method: "DELETE", path: `${PATH}/${metadata.name}` });
        if (own.length === 0) await releaseLease(ports, name);
        continue;
      }
      const sinceMs = unhealthySinceMs.get(name) ?? ports.time.nowMs;
      unhealthySinceMs.set(name, sinceMs);
      if (ports.time.nowMs - sinceMs < options.unhealthyMs || own.length > 0) continue;
      if (healthy / nodes.length < MIN_HEALTHY_SHARE || labels[EXCLUDED] === "true") continue;
      if (await takeLease(ports, name)) await remediate(ports, name, options.template);
    }
  });
}

function ownRemediationsOf({ server }: ControllerPorts, node: string): readonly StoredObject[] {
  return server.store
    .list(REMEDIATIONS)
    .filter(
      ({ metadata }) =>
        objectIn(metadata, "labels")[PART_OF.key] === PART_OF.value &&
        objectIn(metadata, "annotations")[NODE_NAME] === node,
    );
}

async function remediate(ports: ControllerPorts, node: string, template: string): Promise<void> {
  await write(ports, USER, {
    method: "POST",
    path: PATH,
    body: {
      metadata: {
        generateName: `${node}-`,
        annotations: { [NODE_NAME]: node, "remediation.medik8s.io/template-name": template },
        labels: { [PART_OF.key]: PART_OF.value },
      },
      spec: { agent: "fence_stand_in" },
    },
  });
}

async function takeLease(ports: ControllerPorts, node: string): Promise<boolean> {
  const name = `node-${node}`;
  const nowMs = BEGAN_WALL_MS + ports.time.nowMs;
  const renewTime = new Date(nowMs).toISOString().replace("Z", "000Z");
  const spec = { holderIdentity: HOLDER, leaseDurationSeconds: LEASE_SECONDS, renewTime };
  const lease = ports.server.store.get(LEASES, "medik8s-leases", name)?.object;
  if (lease === undefined) {
    const made = await write(ports, USER, {
      method: "POST",
      path: LEASE_PATH,
      body: { metadata: { name }, spec },
    });
    return made.status < 300;
  }
  const held = objectIn(lease, "spec");
  const endsMs = Date.parse(textOf(held["renewTime"])) + Number(held["leaseDurationSeconds"]) * 1_000;
  if (held["holderIdentity"] === HOLDER) return true;
  if (endsMs > nowMs) return false;
  const { resourceVersion } = lease.metadata;
  const taken = await write(ports, USER, {
    method: "PATCH",
    path: `${LEASE_PATH}/${name}`,
    contentType: "application/merge-patch+json",
    body: { metadata: { resourceVersion }, spec },
  });
  return taken.status < 300;
}

async function releaseLease(ports: ControllerPorts, node: string): Promise<void> {
  const lease = ports.server.store.get(LEASES, "medik8s-leases", `node-${node}`)?.object;
  if (objectIn(lease, "spec")["holderIdentity"] !== HOLDER) return;
  await write(ports, USER, { method: "DELETE", path: `${LEASE_PATH}/node-${node}` });
}

// FailoverDrills of integration tests: written, and waited for until their series has ended.
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { GUEST_PORTS } from "../../lab/guests/guest-address.ts";
import { apply } from "../../lab/holdfast/install.ts";
import type { FailoverDrill } from "../../src/api/failover-drill.ts";
import { LONG_MS } from "./holdfast-lab.ts";
import type { OperatorRig } from "./operator-rig.ts";

/** What every guest of the lab answers. Slow enough that a machine under load gets to ask in time. */
export const PROBES = [
  { name: "udp", type: "UDP", port: GUEST_PORTS.udpEcho, packetsPerSecond: 10 },
  { name: "web", type: "HTTP", port: GUEST_PORTS.http },
] as const;

/** Writes a drill whose name is its own in every test. */
export async function beginDrill(rig: OperatorRig, name: string, spec: object): Promise<void> {
  await apply(rig.admin, {
    apiVersion: "holdfast.dev/v1alpha1",
    kind: "FailoverDrill",
    metadata: { name: `${name}-${rig.namespace}` },
    spec,
  } as never);
}

/** Waits until its series has ended. */
export async function endedDrill(rig: OperatorRig, name: string): Promise<FailoverDrill> {
  const path = `/apis/holdfast.dev/v1alpha1/failoverdrills/${name}-${rig.namespace}`;
  return waitFor(
    `FailoverDrill ${name} is over`,
    async (saw) => {
      const read = await rig.admin.request<FailoverDrill>({ method: "GET", path });
      saw(read.ok ? read.value.status : read);
      return read.ok && read.value.status?.lastEndedAt !== undefined ? read.value : undefined;
    },
    LONG_MS,
  );
}

/** Writes a drill and waits until its series has ended. */
export async function drilled(rig: OperatorRig, name: string, spec: object): Promise<FailoverDrill> {
  await beginDrill(rig, name, spec);
  return endedDrill(rig, name);
}

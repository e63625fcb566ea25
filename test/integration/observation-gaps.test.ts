// While no replica watches nobody can say whether a VM is up: that time is written down once, and survives the next leaders.
import { expect, test } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { CONTACT_GAP_MS } from "../../src/observe/contact.ts";
import { parseGaps } from "../../src/observe/observation-gaps.ts";
import { UNOBSERVED_ANNOTATION } from "../../src/run/lease-record.ts";
import { useOperatorRig } from "../support/operator-rig.ts";

const rig = useOperatorRig({ nodes: 2 });
const LEASE = "/apis/coordination.k8s.io/v1/namespaces/holdfast-system/leases/holdfast";

interface Lease {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
}

test("the time without any replica is unobserved: one gap, for every later leader the same", async () => {
  const gapsOnLease = async () => {
    const lease = await rig().admin.request<Lease>({ method: "GET", path: LEASE });
    return lease.ok ? parseGaps(lease.value.metadata.annotations?.[UNOBSERVED_ANNOTATION]) : [];
  };
  const [key = ""] = await rig().createRunning({ name: "web" });
  await rig().startLeader();
  await rig().untilCondition(key, "Available", "True");
  expect(await gapsOnLease()).toEqual([]);

  const stoppedMs = Date.now();
  await rig().stopReplicas();
  await new Promise((resolve) => setTimeout(resolve, CONTACT_GAP_MS + 3_000));
  const startedMs = Date.now();
  const second = await rig().startLeader();
  const [gap] = await waitFor("the gap is on the Lease", async (saw) => {
    const gaps = await gapsOnLease();
    saw(gaps);
    return gaps.length > 0 ? gaps : undefined;
  });
  expect(gap?.fromMs).toBeGreaterThanOrEqual(stoppedMs - 5_000);
  expect(gap?.fromMs).toBeLessThan(startedMs);
  expect(gap?.toMs).toBeGreaterThanOrEqual(startedMs);
  expect(second.operator.world.unobserved).toEqual([gap]);

  // A stand-by that was watching all the time takes over: no gap is added, none is lost.
  const third = rig().startReplica();
  await waitFor("the stand-by has seen everything", () => {
    const sources = Object.values(third.operator.world.sources());
    return sources.every(({ synced }) => synced) || undefined;
  });
  await second.operator.stop();
  await waitFor("the stand-by leads", () => third.operator.leading || undefined);
  await waitFor("and has renewed its Lease", async () => (await gapsOnLease()).length === 1 || undefined);
  expect(third.operator.world.unobserved).toEqual([gap]);
});

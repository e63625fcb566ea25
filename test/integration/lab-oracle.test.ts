import { describe, expect, it } from "vitest";
import {
  forceDeleteLaunchers,
  pause,
  recoverDeadNode,
  removeOutOfServiceTaint,
  taintOutOfService,
  useCluster,
} from "./lab-cluster-fixture.ts";
import { waitFor } from "../../lab/cluster/wait-for.ts";

const NAMESPACE = "oracle";
/** The launcher's own patience: grace period 30 s of the VMI, and 15 s more. */
const OLD_COPY_DEADLINE_MS = 60_000;
const lab = useCluster({ nodes: 3 });

async function startVM(name: string): Promise<{ key: string; node: string; uid: string }> {
  const key = `${NAMESPACE}/${name}`;
  await lab().createVM({ namespace: NAMESPACE, name, disk: "rwx" });
  const vmi = await lab().waitForRunning(key);
  return { key, node: vmi.status?.nodeName ?? "", uid: vmi.metadata.uid ?? "" };
}

describe("the oracle", () => {
  it("sees no second copy when the node's power was cut before its pods were released", async () => {
    const { key, node, uid } = await startVM("fenced");
    await recoverDeadNode(lab(), node);
    const restarted = await lab().waitForRunning(key, { except: uid });
    expect(restarted.status?.nodeName).not.toBe(node);
    expect(lab().oracle.overlaps).toEqual([]);
    expect(lab().oracle.unsafeWrites).toEqual([]);
    const [outage] = lab().oracle.outages(key);
    expect(outage).toMatchObject({ fromNode: node, toNode: restarted.status?.nodeName });
    console.log(`outage of a fenced VM: ${Math.round((outage?.toMs ?? 0) - (outage?.fromMs ?? 0))} ms`);
    await lab().fleet.node(node).power.on();
    await removeOutOfServiceTaint(lab(), node);
  });

  it("sees two copies when pods of a live but partitioned node are force-deleted", async () => {
    const { key, node, uid } = await startVM("split");
    lab().fleet.node(node).cutApi();
    await taintOutOfService(lab(), node);
    await forceDeleteLaunchers(lab(), node);
    const second = await lab().waitForRunning(key, { except: uid });
    const overlap = lab().oracle.overlaps.find(({ vm }) => vm === key);
    expect(overlap).toMatchObject({ nodes: [node, second.status?.nodeName], toMs: undefined });
    expect(lab().oracle.running(key)).toHaveLength(2);
    await waitFor(
      "both unsafe writes are reported",
      (saw) => {
        saw(lab().oracle.unsafeWrites);
        const kinds = lab().oracle.unsafeWrites.map(({ kind }) => kind);
        return kinds.includes("launcherPodRemoved") && kinds.includes("outOfServiceTaint")
          ? kinds
          : undefined;
      },
      5_000,
    );
    await pause(500);
    lab().fleet.node(node).healApi();
  });

  it("sees the old copy end only when the healed kubelet has killed the pod it no longer knows", async () => {
    // virt-handler leaves the old guest alone while a VMI of its name exists, so its launcher's own patience decides: 45 s.
    await waitFor(
      "the old copy is gone",
      (saw) => {
        saw(lab().oracle.running(`${NAMESPACE}/split`));
        return lab().oracle.running(`${NAMESPACE}/split`).length === 1 ? true : undefined;
      },
      OLD_COPY_DEADLINE_MS,
    );
    const overlap = lab().oracle.overlaps.find(({ vm }) => vm === `${NAMESPACE}/split`);
    expect(overlap?.toMs).toBeDefined();
    console.log(`two copies ran for ${Math.round((overlap?.toMs ?? 0) - (overlap?.fromMs ?? 0))} ms`);
  });
});

import { expect, it } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { GUEST_PORTS, TRANSFER_PATH } from "../../lab/guests/guest-address.ts";
import { MAX_SKIPPED_SHARE, type MeasuredRun, measuredRun } from "../../src/model/drill-statistics.ts";
import type { RunningServiceProbe, ServiceProbe } from "../../src/model/service-probe.ts";
import { realProbeNetwork } from "../../src/observe/service-probes/probe-network.ts";
import { serviceProbes } from "../../src/observe/service-probes/service-probes.ts";
import { createRealClock } from "../../src/run/real-clock.ts";
import { onLinux } from "../support/on-linux.ts";
import { recoverDeadNode, useCluster } from "./lab-cluster-fixture.ts";

const NAMESPACE = "probed";
const HAND_OVER_MS = 200;
const { udpEcho, http } = GUEST_PORTS;
const PROBES: readonly ServiceProbe[] = [
  { kind: "Udp", port: udpEcho, packetsPerSecond: 100 },
  { kind: "Udp", port: udpEcho, packetsPerSecond: 10 },
  { kind: "Tcp", port: http },
  { kind: "Http", port: http, path: "/" },
];
const start = serviceProbes({ clock: createRealClock(), random: Math.random, network: realProbeNetwork });

/** Lab and prober share one process here: where the machine held it up, what was measured is the machine. */
function isConclusive({ sent, skipped }: MeasuredRun): boolean {
  return skipped <= ((sent + skipped) * MAX_SKIPPED_SHARE) / 5;
}

onLinux("probes of a VM's service", () => {
  const lab = useCluster({
    nodes: 3,
    guestServices: { handOverMs: { min: HAND_OVER_MS, max: HAND_OVER_MS } },
  });
  const addressOf = (key: string) => lab().view.vmis.get(key)?.status?.interfaces?.[0]?.ipAddress;
  const sinceStart = (probe: RunningServiceProbe) => performance.now() - probe.facts().startedAtMs;

  async function startVM(name: string): Promise<string> {
    const key = `${NAMESPACE}/${name}`;
    await lab().createVM({ namespace: NAMESPACE, name, disk: "rwx" });
    await lab().waitForRunning(key);
    await waitFor(`${key} has an address`, () => addressOf(key));
    return key;
  }

  async function probing(key: string, probes = PROBES): Promise<readonly RunningServiceProbe[]> {
    const started = probes.map((probe) => start({ probe, address: () => addressOf(key) }));
    await waitFor(
      "all are answered",
      () => started.every((probe) => probe.facts().answered >= 10) || undefined,
    );
    return started;
  }

  const restored = (probes: readonly RunningServiceProbe[], disturbedAtMs: readonly number[]) =>
    waitFor(
      "all have seen it go, and come back",
      (saw) => {
        const runs = probes.map((probe, index) => measuredRun(probe.facts(), disturbedAtMs[index] ?? 0));
        saw(runs);
        return runs.every((run) => run.outageMs > 0 && run.restored) ? runs : undefined;
      },
      120_000,
    );

  it("measure the moment in which a live migration hands the guest over, and nothing else", async () => {
    const key = await startVM("moves");
    const before = addressOf(key);
    const probes = await probing(key);
    const disturbedAtMs = probes.map(sinceStart);
    await lab().migrate(key);
    const runs = await restored(probes, disturbedAtMs);
    const all = await Promise.all(probes.map((probe) => probe.stop()));
    for (const [index, run] of runs.entries()) {
      console.log(`live migration, ${JSON.stringify(PROBES[index])}: ${JSON.stringify(run)}`);
      expect(run).toMatchObject({ answeredBefore: true, restored: true });
      expect(run.lost).toBeGreaterThan(0);
      if (!isConclusive(run)) continue;
      // The pause, give or take what a busy machine adds; ten questions a second see it to a tenth.
      expect(run.longestOutageMs).toBeGreaterThan(HAND_OVER_MS - 150);
      expect(run.longestOutageMs).toBeLessThan(HAND_OVER_MS + 2_000);
    }
    expect(all[0]?.sent).toBeGreaterThan(all[1]?.sent ?? 0);
    expect(addressOf(key)).toBe(before);
    expect(lab().oracle.outages(key)).toEqual([]);
  });

  it("measure the loss of a node as the oracle does, and follow the VM to its new address", async () => {
    const key = await startVM("dies");
    const before = addressOf(key);
    const node = lab().view.vmis.get(key)?.status?.nodeName ?? "";
    const probes = await probing(key, [
      ...PROBES,
      { kind: "Transfer", port: http, path: TRANSFER_PATH, bytes: 1_000_000_000 },
    ]);
    const disturbedAtMs = probes.map(sinceStart);
    await recoverDeadNode(lab(), node);
    const runs = await restored(probes, disturbedAtMs);
    const [transfer] = (await Promise.all(probes.map((probe) => probe.stop()))).slice(-1);
    const [outage] = lab().oracle.outages(key);
    const trueMs = (outage?.toMs ?? 0) - (outage?.fromMs ?? 0);
    for (const [index, run] of runs.entries()) {
      console.log(`loss of a node, oracle ${Math.round(trueMs)} ms, probe ${index}: ${JSON.stringify(run)}`);
      expect(run).toMatchObject({ answeredBefore: true, restored: true });
      expect(run.lost).toBeGreaterThan(1);
      if (!isConclusive(run)) continue;
      expect(run.outageMs).toBeGreaterThan(trueMs - 500);
      // The address is known only when virt-handler has written it.
      expect(run.outageMs).toBeLessThan(trueMs + 5_000);
    }
    expect(addressOf(key)).not.toBe(before);
    expect(transfer?.transfer?.reconnections).toBeGreaterThanOrEqual(1);
  });
});

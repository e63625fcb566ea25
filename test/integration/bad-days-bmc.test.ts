// Fence devices that answer wrongly, slowly or never. What is wrong is said where people look, nothing is released without a
// proof, and once the device works again the VMs come back by themselves.
import { expect, test } from "vitest";
import type { BmcFaults } from "../../lab/bmc/bmc-faults.ts";
import { attemptsMade, conditionOf } from "../support/holdfast-lab.ts";
import { useOperatorRig } from "../support/operator-rig.ts";

/** One node for each device, and two that stay well. */
const NODES = 11;
const rig = useOperatorRig({
  nodes: NODES,
  // Many broken at once is what this file is about.
  policy: { stormMaxLost: { count: NODES }, maxConcurrentFencings: NODES },
  topology: { timeout: "5s", retries: 0 },
});

interface Broken {
  readonly what: string;
  readonly fault: Partial<BmcFaults>;
  /** How the attempts end while it is broken, and what the ledger quotes. */
  readonly outcome: RegExp;
  readonly answer: RegExp;
}

const BROKEN: readonly Broken[] = [
  { what: "wrong password", fault: { wrongPassword: true }, outcome: /^Denied$/, answer: /401/ },
  { what: "busy", fault: { busy: true, retryAfterS: 1 }, outcome: /^TimedOut$/, answer: /503|busy/i },
  { what: "refusing", fault: { refuse: true }, outcome: /^Refused$/, answer: /409/ },
  { what: "ignoring", fault: { ignore: true }, outcome: /^StillOn$/, answer: /still On/ },
  { what: "silent", fault: { silent: true }, outcome: /^(TimedOut|Unreachable)$/, answer: /./ },
  { what: "garbage", fault: { garbage: true }, outcome: /^Unreachable$/, answer: /./ },
  { what: "down", fault: { down: true }, outcome: /^Unreachable$/, answer: /./ },
];

test("a broken fence device is told by its fault, its VM waits, and comes back once the device works", {
  timeout: 180_000,
}, async () => {
  const vms = BROKEN.map((_, i) => ({ name: `vm-${i + 1}`, on: `node-${i + 1}` }));
  const keys = await rig().createRunning(...vms);
  await rig().startLeader();
  for (const [i, { fault }] of BROKEN.entries())
    await rig()
      .bmcs.of(`node-${i + 1}`)
      .faults.set(fault);
  for (const { on } of vms) rig().node(on).hang();
  for (const [i, { what, outcome, answer }] of BROKEN.entries()) {
    const fencing = await rig().untilFencing(`node-${i + 1}`, `${what} is told`, ({ status }) => {
      return status?.message !== undefined;
    });
    const [first] = attemptsMade(fencing);
    expect(first?.outcome, what).toMatch(outcome);
    expect(first?.answer, what).toMatch(answer);
    expect(fencing.status?.proof, what).toBeUndefined();
    expect(fencing.status?.message).toMatch(/^no fencing level has proven node-\d off; the last, bmc, ended/);
    const havm = await rig().untilPromise(keys[i] ?? "", "blocked", ({ status }) => {
      return status?.failover?.phase === "Blocked";
    });
    expect(havm.status?.failover?.message).toMatch(/no fencing level has proven node-\d off yet/);
    expect(conditionOf(havm, "Available")).toMatchObject({ status: "False", reason: "NodeLost" });
  }
  // All of them still hold their disks, hung as they are: none was let go.
  expect(keys.map((key) => rig().cluster.oracle.history(key).length)).toEqual(keys.map(() => 1));
  const events = await rig().kubectl("get", "events", "-n", "default");
  expect(events).toMatch(/Warning +FencingFailed +node\/node-1 .*Denied/);

  for (const { on } of vms) await rig().bmcs.of(on).faults.clear();
  await rig().untilRestarted(keys);
  for (const { on } of vms) {
    const { status } = await rig().untilReturned(on);
    expect(status?.attempts?.at(-1)?.outcome).toBe("PoweredOff");
  }
});

test("a slow device is waited for, and one that says Off once while the node is on is not believed", async () => {
  const [slow = "", liar = ""] = await rig().createRunning(
    { name: "slow", on: "node-1" },
    { name: "liar", on: "node-2" },
  );
  await rig().startLeader();
  await rig().bmcs.of("node-1").faults.set({ delayMs: 400, slowOffMs: 1_000 });
  await rig().bmcs.of("node-2").faults.set({ lieOff: 1 });
  // Their guests run on: believing the lie would start a second copy.
  rig().node("node-1").cutApi();
  rig().node("node-2").cutApi();
  await rig().untilRestarted([slow, liar]);
  for (const node of ["node-1", "node-2"]) {
    const fencing = await rig().untilFencing(node, "proven", ({ status }) => status?.proof !== undefined);
    expect(fencing.status?.attempts?.at(-1)?.outcome).toBe("PoweredOff");
    expect(
      rig()
        .resets(node)
        .filter(({ resetType }) => resetType === "ForceOff"),
    ).toHaveLength(1);
  }
});

test("BMC dead with host: it leaves no proof, the VM waits, says so, and comes back with the node", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  await rig().startLeader();
  await rig().bmcs.of("node-1").faults.set({ deadWithHost: true });
  await rig().node("node-1").power.off();
  await rig().untilPromise(key, "blocked", ({ status }) => status?.failover?.phase === "Blocked");
  expect(rig().fencings("node-1").at(-1)?.status?.proof).toBeUndefined();
  await rig().node("node-1").power.on();
  const fencing = await rig().untilReturned("node-1");
  expect(fencing.status?.proof).toMatchObject({
    type: "Rebooted",
    bootID: rig().node("node-1").bootID,
  });
  await rig().untilRestarted([key]);
  await rig().untilCondition(key, "Available", "True");
  expect(rig().resets("node-1")).toEqual([]);
});

test("settings that lead to no device are told as such, and corrected settings are used at once", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  await rig().startLeader();
  const secret = "/api/v1/namespaces/holdfast-system/secrets/bmc";
  const before = await rig().admin.request<{ readonly data: Record<string, string> }>({
    method: "GET",
    path: secret,
  });
  await rig().patch(secret, { data: { password: null } });
  rig().node("node-1").hang();
  const fencing = await rig().untilFencing("node-1", "told", ({ status }) => status?.message !== undefined);
  expect(attemptsMade(fencing)[0]).toMatchObject({
    outcome: "Misconfigured",
    answer: "Secret bmc must hold the keys username and password",
  });
  await rig().patch(secret, { data: before.ok ? before.value.data : {} });
  await rig().untilRestarted([key]);
});

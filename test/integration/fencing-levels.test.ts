// Levels of a topology through the whole operator, on the real control plane: the first level dead, a real fence agent as
// the second; a node with two power supplies; secrets that nobody sees.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Bmc, startBmc } from "../../lab/bmc/redfish-bmc.ts";
import { apply, HOLDFAST_NAMESPACE } from "../../lab/holdfast/install.ts";
import { attemptsMade } from "../support/holdfast-lab.ts";
import { useOperatorRig } from "../support/operator-rig.ts";
import { providePrograms } from "./debian-packages.ts";

const agents = await providePrograms(
  ["/usr/sbin/fence_redfish"],
  [["fence-agents"], ["fence-agents-redfish"]],
);
if (!agents.ok)
  console.warn(`\n!!! SKIPPED: a level of a real fence agent was NOT tested: ${agents.reason}\n`);

const TOPOLOGY = "/apis/holdfast.dev/v1alpha1/fencingtopologies/bmc";
const PORT_ANNOTATION = "holdfast.dev/test-bmc-port";
const PASSWORD = "lab-password";
const rig = useOperatorRig({ nodes: 3 });

/** The second power supply of node-1, with a switch of its own. */
let supply: Bmc;
let supplyState: "On" | "Off" = "On";

beforeAll(async () => {
  supply = await startBmc({
    power: {
      read: () => supplyState,
      off: async () => {
        supplyState = "Off";
      },
      on: async () => {
        supplyState = "On";
      },
    },
    node: "node-1",
    username: "holdfast",
    password: PASSWORD,
    certificate: rig().cluster.controlPlane.certificateFor({ commonName: "psu-b", hosts: ["127.0.0.1"] }),
  });
});
afterAll(() => supply?.stop());

const redfish = (address: string) => ({
  method: "Redfish",
  redfish: { address, credentialsSecretRef: { name: "bmc" }, tls: { caSecretRef: { name: "bmc" } } },
});

test.skipIf(!agents.ok)(
  "the first level is dead: after its retries the second, a real fence agent, proves the node off, and nobody sees a secret",
  async () => {
    const port = new URL(rig().bmcs.of("node-1").address).port;
    await rig().patch("/api/v1/nodes/node-1", { metadata: { annotations: { [PORT_ANNOTATION]: port } } });
    await apply(rig().admin, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "agent", namespace: HOLDFAST_NAMESPACE },
      stringData: { username: "holdfast", password: PASSWORD },
    } as never);
    await rig().patch(TOPOLOGY, {
      spec: {
        levels: [
          { name: "dead", retries: 1, backoff: "1s", timeout: "5s", ...redfish("https://127.0.0.1:1") },
          {
            name: "agent",
            method: "FenceAgent",
            timeout: "60s",
            fenceAgent: {
              agent: "fence_redfish",
              parameters: {
                ip: "127.0.0.1",
                ipport: `\${node.annotations['${PORT_ANNOTATION}']}`,
                systems_uri: "/redfish/v1/Systems/1",
              },
              parametersSecretRef: { name: "agent" },
              tls: { caSecretRef: { name: "bmc" } },
            },
          },
        ],
      },
    });
    const keys = await rig().createRunning({ name: "vm", on: "node-1" });
    const leader = await rig().startLeader();
    rig().node("node-1").hang();
    const { status } = await rig().untilFencing(
      "node-1",
      "proven",
      ({ status: now }) => now?.proof !== undefined,
    );
    expect(status?.attempts).toMatchObject([
      { number: 1, level: "dead", method: "Redfish", outcome: "Unreachable" },
      { number: 2, level: "dead", method: "Redfish", outcome: "Unreachable" },
      {
        number: 3,
        level: "agent",
        method: "FenceAgent",
        outcome: "PoweredOff",
        powerState: "Off",
        seenOn: true,
      },
    ]);
    for (const { startedAt, endedAt, answer } of status?.attempts ?? []) {
      expect(Date.parse(endedAt ?? "")).toBeGreaterThanOrEqual(Date.parse(startedAt));
      expect(answer).toMatch(/./);
    }
    expect(status?.proof).toMatchObject({ type: "PowerOff", attempt: 3 });
    await rig().untilRestarted(keys);
    await rig().untilReturned("node-1");
    const seen = [
      await rig().kubectl("get", "nodefencings,fencingtopologies,havm,events", "-A", "-o", "yaml"),
      ...leader.log,
    ].join("\n");
    expect(seen).toContain("fence_redfish");
    expect(seen).not.toContain(PASSWORD);
    expect(seen).not.toContain(Buffer.from(PASSWORD).toString("base64"));
  },
);

test("a node with two power supplies is not fenced until both are read back as off", async () => {
  const address = rig().bmcs.of("node-1").address;
  await rig().patch(TOPOLOGY, {
    spec: {
      levels: [
        {
          name: "supplies",
          method: "AllOf",
          retries: 0,
          backoff: "1s",
          timeout: "8s",
          devices: [
            { name: "psu-a", ...redfish(address) },
            { name: "psu-b", ...redfish(supply.address) },
          ],
        },
      ],
    },
  });
  const keys = await rig().createRunning({ name: "vm", on: "node-1" });
  await rig().startLeader();
  await supply.faults.set({ refuse: true });
  rig().node("node-1").hang();
  const stuck = await rig().untilFencing("node-1", "psu-b stays on", (one) => {
    return attemptsMade(one)[0]?.endedAt !== undefined;
  });
  expect(attemptsMade(stuck)[0]).toMatchObject({
    outcome: "StillOn",
    powerState: "psu-a Off, psu-b On",
    seenOn: true,
  });
  expect(stuck.status?.proof).toBeUndefined();
  expect(rig().cluster.oracle.history(keys[0] ?? "")).toHaveLength(1);

  await supply.faults.clear();
  const { status } = await rig().untilFencing(
    "node-1",
    "proven",
    ({ status: now }) => now?.proof !== undefined,
  );
  expect(status?.proof?.detail).toMatch(/psu-a .* and psu-b .*: power state Off, read twice/);
  await rig().untilRestarted(keys);
  await rig().untilReturned("node-1");
  expect(supplyState).toBe("On");
});

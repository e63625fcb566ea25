// What only run time can see of a promise or a topology becomes a condition with a reason; and policies make promises.
import { expect, test } from "vitest";
import { apply } from "../../lab/holdfast/install.ts";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { LONG_MS } from "../support/holdfast-lab.ts";
import { useOperatorRig } from "../support/operator-rig.ts";

const rig = useOperatorRig({ nodes: 3 });

const ROOT = "/apis/holdfast.dev/v1alpha1";

test("a promise for a VM that does not exist says so, and is accepted once the VM is there", async () => {
  await rig().startLeader();
  await rig().cluster.createVM({ namespace: rig().namespace, name: "other", runStrategy: "Halted" });
  await rig().promise("late");
  const key = `${rig().namespace}/late`;
  const havm = await rig().untilCondition(key, "Accepted", "False", "VirtualMachineNotFound");
  expect(havm.status?.conditions?.find((one) => one.type === "Accepted")?.message).toContain(key);
  await rig().createVM({ name: "late", promise: "none" });
  await rig().untilCondition(key, "Accepted", "True");
  await rig().untilCondition(key, "Protected", "True");
});

test("of two promises for one VM the older is in charge, and the other says which", async () => {
  await rig().startLeader();
  await rig().createVM({ name: "vm" });
  const key = `${rig().namespace}/vm`;
  await rig().untilCondition(key, "Accepted", "True");
  await rig().promise("vm", {}, "zweite");
  const second = await rig().untilCondition(
    `${rig().namespace}/zweite`,
    "Accepted",
    "False",
    "DuplicateProtection",
  );
  expect(second.status?.conditions?.find((one) => one.type === "Accepted")?.message).toContain("vm");
  await rig().untilCondition(key, "Protected", "True");
});

test("dependencies that lead in a circle, or nowhere, are told", async () => {
  await rig().startLeader();
  await rig().createVM({ name: "a", promise: { dependsOn: [{ name: "b" }] } });
  await rig().createVM({ name: "b", promise: { dependsOn: [{ name: "a" }] } });
  await rig().createVM({ name: "c", promise: { dependsOn: [{ name: "nobody" }] } });
  await rig().untilCondition(`${rig().namespace}/a`, "Accepted", "False", "DependencyCycle");
  await rig().untilCondition(`${rig().namespace}/c`, "Accepted", "False", "DependencyNotFound");
});

test("a topology that covers no node says so, and one that is outranked says so too", async () => {
  await rig().startLeader();
  const levels = [
    {
      name: "bmc",
      method: "Redfish",
      redfish: { address: "https://bmc", credentialsSecretRef: { name: "bmc" } },
    },
  ];
  for (const [name, spec] of [
    ["nowhere", { nodeSelector: { matchLabels: { rack: "none" } }, levels }],
    ["outranked", { nodeSelector: {}, precedence: 0, levels }],
  ] as const) {
    await apply(rig().admin, {
      apiVersion: "holdfast.dev/v1alpha1",
      kind: "FencingTopology",
      metadata: { name: `z-${name}` },
      spec,
    } as never);
    await waitFor(`${name} is judged`, async (saw) => {
      const got = await rig().admin.request<{
        status?: { conditions?: { reason: string; status: string }[] };
      }>({
        method: "GET",
        path: `${ROOT}/fencingtopologies/z-${name}`,
      });
      saw(got);
      const condition = got.ok ? got.value.status?.conditions?.[0] : undefined;
      return condition?.status === "False" && condition.reason === "CoversNoNode" ? true : undefined;
    });
    await rig().remove(`${ROOT}/fencingtopologies/z-${name}`);
  }
});

test("a policy has promises made for the VMs it selects, keeps them like its template, and has them withdrawn", async () => {
  await rig().startLeader();
  const { namespace } = rig();
  const policy = (priority: number) => ({
    apiVersion: "holdfast.dev/v1alpha1",
    kind: "HAVirtualMachinePolicy",
    metadata: { name: namespace },
    spec: { selector: { matchLabels: { care: namespace } }, template: { priority } },
  });
  await apply(rig().admin, policy(700));
  await rig().createVM({ name: "chosen", labels: { care: namespace }, promise: "none" });
  // First: a VM that is there before its promise gets one by the policy at once.
  await rig().promise("by-hand", { priority: 1 });
  await rig().createVM({ name: "by-hand", labels: { care: namespace }, promise: "none" });
  await rig().createVM({ name: "other", promise: "none" });
  const made = await rig().untilCondition(`${namespace}/chosen`, "Protected", "True");
  expect(made.spec).toMatchObject({ virtualMachineName: "chosen", priority: 700 });
  expect(made.metadata.ownerReferences).toMatchObject([{ kind: "VirtualMachine", name: "chosen" }]);
  expect((await rig().untilCondition(`${namespace}/by-hand`, "Accepted", "True")).spec.priority).toBe(1);

  await apply(rig().admin, policy(800));
  await rig().untilPromise(
    `${namespace}/chosen`,
    "follows the template",
    ({ spec }) => spec.priority === 800,
  );

  await rig().remove(`${ROOT}/havirtualmachinepolicies/${namespace}`);
  await waitFor(
    "the promise is withdrawn, the one made by hand is not",
    async (saw) => {
      const left = await rig().list<{ metadata: { name: string } }>(
        `${ROOT}/namespaces/${namespace}/havirtualmachines`,
      );
      const names = left.map(({ metadata }) => metadata.name).sort();
      saw(names);
      return JSON.stringify(names) === JSON.stringify(["by-hand"]) ? true : undefined;
    },
    LONG_MS,
  );
});

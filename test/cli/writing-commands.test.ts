// The commands that change something: what they write, after which question, and when they refuse.
import { describe, expect, it } from "vitest";
import { run } from "./cli-bench.ts";
import { Dump, shop } from "./dump.ts";

function lost(): Dump {
  return new Dump()
    .operator()
    .topology()
    .node("node-1")
    .node("node-2", { silentMs: 45_000, ready: "Unknown" })
    .vm("db", { on: "node-2", promise: { priority: 900 } })
    .vm("batch", { on: "node-2", promise: "none" });
}

describe("fence", () => {
  it("shows the VMs in the order of their release, and writes the NodeFencing once the node's name is typed", async () => {
    const transport = lost().server();
    const ran = await run(["fence", "node-2", "--reason=smoke"], { transport, answers: ["node-2"] });
    expect(ran.code).toBe(0);
    expect(ran.out.indexOf("shop/db")).toBeLessThan(ran.out.indexOf("shop/batch"));
    expect(transport.writes).toHaveLength(1);
    expect(transport.writes[0]).toMatchObject({
      method: "POST",
      path: "/apis/holdfast.dev/v1alpha1/nodefencings",
      body: {
        kind: "NodeFencing",
        spec: {
          nodeName: "node-2",
          nodeUID: "uid-node-2",
          bootID: "boot-node-2",
          topology: "bmc",
          reason: "Requested",
          message: "smoke (asked for by alice@example.com)",
          lastSeenAt: "2026-11-22T11:59:15.000Z",
        },
      },
    });
  });

  it.each([
    ["another word is typed", ["node-1"]],
    ["nobody is there", []],
  ])("writes nothing where %s", async (_what, answers) => {
    const transport = lost().server();
    const ran = await run(["fence", "node-2"], { transport, answers });
    expect([ran.code, transport.writes]).toEqual([4, []]);
  });

  it("refuses a node that is heard, unless that is said to be meant", async () => {
    const transport = lost().server();
    const ran = await run(["fence", "node-1", "--yes"], { transport });
    expect(ran.err).toContain("is heard (healthy), so its guests may be running");
    expect([ran.code, transport.writes]).toEqual([4, []]);
    const meant = await run(["fence", "node-1", "--yes", "--alive"], { transport });
    expect([meant.code, transport.writes.length]).toEqual([0, 1]);
  });

  it("refuses a node that is being fenced already", async () => {
    const ran = await run(["fence", "node-2", "--yes"], { transport: lost().fencing("node-2").server() });
    expect(ran.err).toContain("NodeFencing nf-node-2 is Fencing");
    expect(ran.code).toBe(4);
  });

  it("writes nothing with --dry-run", async () => {
    const transport = lost().server();
    const ran = await run(["fence", "node-2", "--dry-run"], { transport });
    expect([ran.code, transport.writes, ran.questions]).toEqual([0, [], []]);
  });
});

describe("confirm-off", () => {
  it("annotates the open NodeFencing with the repeated boot ID and the server's word for who said so", async () => {
    const transport = lost().fencing("node-2").server();
    const ran = await run(["confirm-off", "node-2"], { transport, answers: ["boot-node-2"] });
    expect(ran.code).toBe(0);
    expect(transport.writes[0]).toMatchObject({
      method: "PATCH",
      path: "/apis/holdfast.dev/v1alpha1/nodefencings/nf-node-2",
      body: {
        metadata: {
          uid: "uid-nf-node-2",
          annotations: {
            "holdfast.dev/confirm-off": "boot-node-2",
            "holdfast.dev/confirm-off-by": "alice@example.com",
          },
        },
      },
    });
  });

  it.each([
    ["another boot ID is typed", ["confirm-off", "node-2"], ["yes"]],
    ["another boot ID is given", ["confirm-off", "node-2", "--boot-id=boot-node-1"], []],
    ["nobody is there", ["confirm-off", "node-2"], []],
  ])("writes nothing where %s", async (_what, argv, answers) => {
    const transport = lost().fencing("node-2").server();
    const ran = await run(argv, { transport, answers });
    expect([ran.code, transport.writes]).toEqual([4, []]);
  });

  it("refuses a node that is heard, and one that nobody is fencing", async () => {
    const heard = shop().fencing("node-2").server();
    const ran = await run(["confirm-off", "node-2", "--boot-id=boot-node-2"], { transport: heard });
    expect([ran.code, heard.writes]).toEqual([4, []]);
    expect((await run(["confirm-off", "node-2"], { transport: lost().server() })).code).toBe(5);
  });
});

describe("disarm and arm", () => {
  it("writes a FencingDisarm that ends, says why and for whom", async () => {
    const transport = shop().server();
    const ran = await run(["disarm", "--for=2h", "--reason=switches", "-l", "zone=b"], { transport });
    expect(ran.code).toBe(0);
    const [write] = transport.writes;
    expect(write).toMatchObject({
      path: "/apis/holdfast.dev/v1alpha1/fencingdisarms",
      body: {
        spec: {
          reason: "switches",
          requestedBy: "alice@example.com",
          nodeSelector: { matchLabels: { zone: "b" } },
        },
      },
    });
    const until = (write?.body as { spec?: { until: string } } | undefined)?.spec?.until ?? "";
    expect(Math.abs(Date.parse(until) - Date.now() - 7_200_000)).toBeLessThan(600_000);
  });

  it.each([[["disarm", "--for=2h"]], [["disarm", "--reason=x"]], [["disarm", "--for=ages", "--reason=x"]]])(
    "refuses %j: it must end, and say why",
    async (argv) => {
      const transport = shop().server();
      expect([(await run(argv, { transport })).code, transport.writes]).toEqual([2, []]);
    },
  );

  it("arm deletes what is in force", async () => {
    const disarmOf = (name: string, until: string) => ({
      apiVersion: "holdfast.dev/v1alpha1",
      kind: "FencingDisarm",
      metadata: { name },
      spec: { reason: "r", until },
    });
    const transport = shop()
      .add(disarmOf("now", "2999-01-01T00:00:00Z"), disarmOf("past", "2000-01-01T00:00:00Z"))
      .server();
    const ran = await run(["arm"], { transport });
    expect([ran.code, transport.writes.map(({ method, path }) => `${method} ${path}`)]).toEqual([
      0,
      ["DELETE /apis/holdfast.dev/v1alpha1/fencingdisarms/now"],
    ]);
    expect((await run(["arm", "past"], { transport })).code).toBe(5);
  });
});

describe("protect and unprotect", () => {
  it("makes a promise for each selected VM that has none", async () => {
    const transport = shop().server();
    const ran = await run(["protect", "batch", "db", "--priority=300"], { transport });
    expect(ran.code).toBe(0);
    expect(ran.out).toContain("promised already by HAVirtualMachine db");
    expect(transport.writes.map(({ body }) => body)).toMatchObject([
      { kind: "HAVirtualMachine", metadata: { name: "batch", namespace: "shop" }, spec: { priority: 300 } },
    ]);
  });

  it("selects by labels as kubectl does, and changes nothing with --dry-run", async () => {
    const transport = shop().server();
    const ran = await run(["protect", "-l", "tier in (test,stage)", "-A", "--dry-run"], { transport });
    expect(ran.out).toContain("shop/batch");
    expect(ran.out).not.toContain("shop/web");
    expect([ran.code, transport.writes]).toEqual([0, []]);
  });

  it("--policy makes one HAVirtualMachinePolicy for these and all later VMs", async () => {
    const transport = shop().server();
    const ran = await run(["protect", "-l", "tier=test,!gpu", "--policy=tests"], { transport });
    expect(ran.out).toContain("selects 1 VM now");
    expect(transport.writes[0]).toMatchObject({
      path: "/apis/holdfast.dev/v1alpha1/havirtualmachinepolicies",
      body: {
        spec: {
          selector: {
            matchLabels: { tier: "test" },
            matchExpressions: [{ key: "gpu", operator: "DoesNotExist" }],
          },
        },
      },
    });
  });

  it("withdraws after a yes, by UID, and leaves what a policy would only make again", async () => {
    const dump = shop().vm("made", { on: "node-1", promise: "none", labels: { app: "x" } });
    dump.add({
      apiVersion: "holdfast.dev/v1alpha1",
      kind: "HAVirtualMachine",
      metadata: { name: "made", namespace: "shop", labels: { "holdfast.dev/policy": "gold" } },
      spec: { virtualMachineName: "made" },
    });
    const transport = dump.server();
    const ran = await run(["unprotect", "db", "made"], { transport, answers: ["yes"] });
    expect(ran.code).toBe(0);
    expect(ran.out).toContain("still promised by HAVirtualMachinePolicy gold");
    expect(transport.writes).toMatchObject([
      {
        method: "DELETE",
        path: "/apis/holdfast.dev/v1alpha1/namespaces/shop/havirtualmachines/db",
        body: { preconditions: { uid: "havm-db" } },
      },
    ]);
  });

  it("withdraws nothing without a yes", async () => {
    const transport = shop().server();
    const ran = await run(["unprotect", "db"], { transport, answers: ["y"] });
    expect([ran.code, transport.writes]).toEqual([4, []]);
  });

  it("answers 5 for VMs that are not there, and 2 for a selector that cannot be read", async () => {
    const transport = shop().server();
    expect((await run(["protect", "nobody"], { transport })).code).toBe(5);
    expect((await run(["protect", "-l", "tier=nothing"], { transport })).code).toBe(5);
    expect((await run(["protect", "-l", "=x"], { transport })).code).toBe(2);
  });
});

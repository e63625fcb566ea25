import { describe, expect, it } from "vitest";
import { KINDS } from "../../src/api/generate.ts";
import { fencingWith, haVirtualMachineWith } from "../api/bad-inputs.ts";
import { useCrds } from "./crds-fixture.ts";

const cluster = useCrds();

interface DefinitionOnServer {
  readonly metadata: { readonly generation: number; readonly resourceVersion: string };
  readonly status: { readonly conditions: { readonly type: string; readonly status: string }[] };
}

const definitions = () =>
  Promise.all(
    KINDS.map((kind) =>
      cluster.get<DefinitionOnServer>(
        `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${kind.plural}.holdfast.dev`,
      ),
    ),
  );

/** The cells of a table that kubectl prints, by the heads of its columns. */
function cellsOf(table: string): Readonly<Record<string, string>> {
  const [head = "", row = ""] = table.split("\n");
  const starts = [...head.matchAll(/\S+( \S+)*/g)].map((match) => match.index);
  const cut = (line: string, index: number) => line.slice(starts[index], starts[index + 1]).trim();
  return Object.fromEntries(starts.map((_, index) => [cut(head, index), cut(row, index)]));
}

describe("the CRDs on a real API server", () => {
  it("are established, with nothing that is not structural", async () => {
    for (const { status } of await definitions()) {
      const byType = Object.fromEntries(status.conditions.map((one) => [one.type, one.status]));
      expect(byType).toMatchObject({ Established: "True", NamesAccepted: "True" });
      expect(byType).not.toHaveProperty("NonStructuralSchema");
      expect(byType).not.toHaveProperty("KubernetesAPIApprovalPolicyConformant");
    }
  });

  it("are unchanged when applied again, and again", async () => {
    const before = await definitions();
    for (let time = 0; time < 2; time++) {
      const said = await cluster.kubectl("apply", "--filename", "crds");
      const lines = said.trim().split("\n");
      expect(lines).toHaveLength(KINDS.length);
      expect(lines.filter((line) => !line.endsWith(".holdfast.dev unchanged"))).toEqual([]);
    }
    const after = await definitions();
    expect(after.map((one) => one.metadata)).toEqual(before.map((one) => one.metadata));
  });

  it("are unchanged by server-side apply once it owns them", async () => {
    const apply = () =>
      cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename", "crds", "--output=name");
    await apply();
    const before = await definitions();
    await apply();
    const after = await definitions();
    expect(after.map((one) => one.metadata.resourceVersion)).toEqual(
      before.map((one) => one.metadata.resourceVersion),
    );
  });

  it("are found under their short names and in the category holdfast", async () => {
    const listed = await cluster.kubectl("api-resources", "--api-group=holdfast.dev", "--output=wide");
    for (const { kind, shortNames } of KINDS) {
      expect(listed).toMatch(new RegExp(`${shortNames.join(",")} .*${kind} .* holdfast\\n`));
    }
    const byCategory = await cluster.kubectl("api-resources", "--categories=holdfast", "--output=name");
    expect(byCategory.trim().split("\n")).toHaveLength(KINDS.length);
    const inAll = await cluster.kubectl("api-resources", "--categories=all", "--output=name");
    expect(inAll).not.toContain("holdfast.dev");
  });
});

describe("kubectl explain", () => {
  it.each(KINDS)("says of every field of $kind what it is", async (kind) => {
    const fields = await cluster.kubectl("explain", kind.plural, "--recursive");
    expect(fields).toContain("spec");
    // Recursive output has no descriptions; so each object is asked for by itself, and no field may stay bare.
    for (const path of ["spec", "status"]) {
      const page = await cluster.kubectl("explain", `${kind.plural}.${path}`);
      expect(page).not.toContain("<no description>");
      expect(page).toMatch(/DESCRIPTION:\n\s+\S/);
    }
  });

  it("teaches what a field does, what it may be and what it is by default", async () => {
    const page = await cluster.kubectl("explain", "havm.spec.evacuation.strategy");
    expect(page.replaceAll(/\s+/g, " ")).toContain("it moves without a break");
    expect(page.replaceAll(/\s+/g, " ")).toContain("ENUM: LiveMigrate LiveMigrateOrRestart None");
    const nested = await cluster.kubectl("explain", "ftopo.spec.levels.redfish.tls.caSecretRef");
    expect(nested).toContain("certificates, in PEM");
  });
});

describe("the samples", () => {
  it("apply cleanly, and once more without a change", async () => {
    const apply = () => cluster.kubectl("apply", "--filename", "deploy/samples");
    const versions = () =>
      cluster.kubectl(
        "get",
        "--filename",
        "deploy/samples",
        "--output=jsonpath={.items[*].metadata.resourceVersion}",
      );
    const said = (await apply()).trim().split("\n");
    expect(said.length).toBeGreaterThanOrEqual(KINDS.length);
    expect(said.filter((line) => !line.endsWith(" created"))).toEqual([]);
    const before = await versions();
    // kubectl calls a topology "configured" even so: it compares the list of levels without the defaults in it.
    await apply();
    expect(await versions()).toBe(before);
    await cluster.kubectl("delete", "--filename", "deploy/samples");
  });
});

describe("kubectl get", () => {
  const at = "2026-11-22T10:30:00.000Z";
  const condition = (type: string, status: string, message = "") => ({
    type,
    status,
    reason: "Because",
    message,
    lastTransitionTime: at,
  });

  it("shows of an HAVirtualMachine whether its promise stands", async () => {
    const manifest = haVirtualMachineWith({ priority: 700 });
    await cluster.create(manifest);
    const status = {
      node: "node-1",
      conditions: [
        condition("Protected", "True"),
        condition("Available", "True"),
        condition("Restartable", "False", "no node has 64Gi"),
        condition("Migratable", "Unknown"),
      ],
      failover: {
        fromNode: "node-1",
        vmiUID: "u",
        lastGoodAt: at,
        lostAt: at,
        phase: "Blocked",
        message: "storm hold",
      },
    };
    const written = await cluster.patch(manifest, { status }, "status");
    expect(written).toMatchObject({ ok: true });
    expect(cellsOf(await cluster.kubectl("get", "havm"))).toMatchObject({
      NAME: "db",
      VM: "db",
      NODE: "node-1",
      PROTECTED: "True",
      AVAILABLE: "True",
      RESTARTABLE: "False",
      MIGRATABLE: "Unknown",
      PRIORITY: "700",
      AGE: expect.stringMatching(/^\d+s$/) as string,
    });
    expect(cellsOf(await cluster.kubectl("get", "havm", "--output=wide"))).toMatchObject({
      FAILOVER: "Blocked",
      MESSAGE: "storm hold",
      "IF NODE LOST": "no node has 64Gi",
    });
    expect(
      await cluster.kubectl("get", "havm", "--field-selector=status.node=node-1", "--output=name"),
    ).toContain("/db");
    expect(await cluster.kubectl("get", "havm", "--field-selector=status.node=node-2", "--output=name")).toBe(
      "",
    );
    await cluster.remove(manifest);
  });

  it("shows of a NodeFencing how far it is, and on what proof", async () => {
    const manifest = fencingWith({});
    await cluster.create(manifest);
    const attempt = { level: "bmc", method: "Redfish", epoch: 3, startedAt: at, outcome: "TimedOut" };
    const status = {
      phase: "Fenced",
      epoch: 3,
      attempts: [
        { ...attempt, number: 1 },
        { ...attempt, number: 2, outcome: "PoweredOff" },
      ],
      proof: { type: "PowerOff", bootID: "boot-1", observedAt: at, detail: "Off", attempt: 2 },
    };
    expect(await cluster.patch(manifest, { status }, "status")).toMatchObject({ ok: true });
    expect(cellsOf(await cluster.kubectl("get", "nf", "--output=wide"))).toMatchObject({
      NAME: "node-1-0",
      NODE: "node-1",
      PHASE: "Fenced",
      PROOF: "PowerOff",
      ATTEMPTS: "2",
      REASON: "NodeLost",
      OUTCOME: "PoweredOff",
    });
    expect(
      await cluster.kubectl(
        "get",
        "nf",
        "--field-selector=spec.nodeName=node-1,status.phase=Fenced",
        "-o",
        "name",
      ),
    ).toContain("/node-1-0");
    await cluster.remove(manifest);
  });

  it("shows of a topology and a policy what they cover", async () => {
    await cluster.kubectl("apply", "--filename", "deploy/samples");
    const summary = { conditions: [condition("Accepted", "True")] };
    const samples = [
      { kind: "FencingTopology", name: "workers", status: { coveredNodes: 3 } },
      { kind: "HAVirtualMachinePolicy", name: "labelled", status: { selected: 5, protectedVMs: 4 } },
    ];
    for (const { kind, name, status } of samples) {
      const manifest = { apiVersion: "holdfast.dev/v1alpha1", kind, metadata: { name }, spec: {} };
      const outcome = await cluster.patch(manifest, { status: { ...status, ...summary } }, "status");
      expect(outcome).toMatchObject({ ok: true });
    }
    expect(cellsOf(await cluster.kubectl("get", "ftopo"))).toMatchObject({
      NODES: "3",
      "FIRST LEVEL": "bmc",
      ACCEPTED: "True",
    });
    expect(cellsOf(await cluster.kubectl("get", "havmp"))).toMatchObject({
      SELECTED: "5",
      PROTECTED: "4",
      ACCEPTED: "True",
    });
    await cluster.kubectl("delete", "--filename", "deploy/samples");
  });
});

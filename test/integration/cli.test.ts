// kubectl holdfast as people run it: the bundled file, as a process of its own, with nothing but a kubeconfig, on the real
// API server with an operator at work. Once through kubectl itself.
import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findAssetFolder } from "../../lab/control-plane/asset-folders.ts";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { DecisionRing } from "../../src/run/decision-ring.ts";
import { useOperatorRig } from "../support/operator-rig.ts";

const RUN_DEADLINE_MS = 60_000;
const BANNER =
  "#!/usr/bin/env node\nimport { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const rig = useOperatorRig({ nodes: 3 });
let folder = "";
let plugin = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "holdfast-cli-"));
  plugin = join(folder, "kubectl-holdfast");
  await build({
    entryPoints: [new URL("../../src/cli/main.ts", import.meta.url).pathname],
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    outfile: `${plugin}.mjs`,
    banner: { js: BANNER },
    logLevel: "silent",
  });
  await chmod(`${plugin}.mjs`, 0o755);
  await symlink(`${plugin}.mjs`, plugin);
  await symlink(`${plugin}.mjs`, join(folder, "kubectl_complete-holdfast"));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

function execute(
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  const { promise, resolve } = Promise.withResolvers<Ran>();
  const path = `${folder}:${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`;
  const env = { HOME: folder, PATH: path, ...environment };
  execFile(program, args, { env, timeout: RUN_DEADLINE_MS, maxBuffer: 64 * 1024 * 1024 }, (error, out, err) =>
    resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err }),
  );
  return promise;
}

const cli = (...args: readonly string[]): Promise<Ran> =>
  execute(plugin, [...args, `--kubeconfig=${rig().cluster.controlPlane.kubeconfigPath}`]);

describe("kubectl holdfast on a real API server", () => {
  it("protects, explains, simulates and reports; and the loss of a node goes as it was foretold", async () => {
    const decisions = new DecisionRing(20);
    await rig().startLeader({ decisions });
    const [vm = ""] = await rig().createRunning({ name: "db", on: "node-2", promise: "none" });
    const namespace = rig().namespace;

    const before = await cli("explain", "vm", vm);
    expect([before.code, before.out]).toEqual([3, expect.stringContaining("no HAVirtualMachine names it")]);
    const promised = await cli("protect", "db", "-n", namespace, "--priority=900");
    expect(promised).toMatchObject({ code: 0, err: "" });
    await rig().untilCondition(vm, "Protected", "True");
    expect((await cli("protect", "db", "-n", namespace)).out).toContain("promised already");

    const status = await cli("status", "-o", "json");
    expect(JSON.parse(status.out)).toMatchObject({ operator: { state: "leading" }, vms: { well: 1 } });

    const foretold = await cli("simulate", "--lose=node-2", "-o", "json");
    const { result } = JSON.parse(foretold.out) as {
      result: { vms: { vm: string; fate: string; to: string }[] };
    };
    expect(result.vms).toMatchObject([{ vm, fate: "restarted" }]);

    await rig().node("node-2").power.off();
    await rig().untilRestarted([vm]);
    // Two nodes are as good as each other; which of them it is the scheduler throws dice about.
    const elsewhere = ["node-1", "node-3"];
    expect(elsewhere).toContain(result.vms[0]?.to);
    expect(elsewhere).toContain(rig().cluster.oracle.history(vm)[1]?.node);
    const after = await cli("explain", "node", "node-2");
    expect(after.out).toContain("proof PowerOff");

    const kept = JSON.parse(decisions.list()) as { decisions: { id: number; headline: string }[] };
    const file = join(folder, "decision.json");
    let plans = "";
    for (const { id } of kept.decisions) {
      await writeFile(file, decisions.read(id) ?? "");
      const replayed = await execute(plugin, ["simulate", `--replay=${file}`]);
      expect(replayed).toMatchObject({
        code: 0,
        err: "",
        out: expect.stringContaining("the identical plan"),
      });
      plans += replayed.out;
    }
    for (const step of ["OpenFencing node-2", "Fence node-2", `Release ${vm}`]) expect(plans).toContain(step);

    await waitFor("the outage is on the account", async (saw) => {
      const reported = await cli("report", "-o", "json", "-n", namespace);
      saw(reported);
      const { outages } = JSON.parse(reported.out) as { outages: { cause: string; until?: string }[] };
      return outages.some(({ cause, until }) => cause === "NodeLost" && until !== undefined)
        ? true
        : undefined;
    });
  });

  it("disarms and arms; confirms and fences only what may be", async () => {
    await rig().startLeader();
    const [vm = ""] = await rig().createRunning({ name: "web", on: "node-1" });
    const disarmed = await cli("disarm", "--for=1h", "--reason=switches");
    expect(disarmed).toMatchObject({ code: 0, err: "" });
    expect((await cli("status")).out).toContain(": switches");
    expect((await cli("arm")).out).toContain("Ended 1 disarm");
    expect((await cli("status")).out).not.toContain("DISARMED");

    const heard = await cli("fence", "node-1", "--yes");
    expect([heard.code, heard.err]).toEqual([4, expect.stringContaining("is heard")]);
    expect((await cli("fence", "node-1", "--alive")).err).toContain("nobody is there to confirm it");
    expect((await cli("confirm-off", "node-1")).code).toBe(5);
    const meant = await cli("fence", "node-1", "--alive", "--yes", "--reason=test");
    expect(meant).toMatchObject({ code: 0, err: "" });
    await rig().untilFencing("node-1", "proven", ({ status }) => status?.proof !== undefined);
    await rig().untilRestarted([vm]);
    await rig().untilReturned("node-1");

    const withdrawn = await cli("unprotect", "web", "-n", rig().namespace, "--yes");
    expect(withdrawn).toMatchObject({ code: 0, err: "" });
    expect((await cli("explain", "vm", vm)).out).toContain("no HAVirtualMachine names it");
  });

  it("works through kubectl, and kubectl completes it", async () => {
    const kubectl = join(findAssetFolder(process.env)?.directory ?? "", "kubectl");
    const environment = { KUBECONFIG: rig().cluster.controlPlane.kubeconfigPath };
    const status = await execute(kubectl, ["holdfast", "status", "-o", "json"], environment);
    expect(JSON.parse(status.out)).toMatchObject({ nodes: [{}, {}, {}] });
    const completed = await execute(
      kubectl,
      ["__complete", "holdfast", "explain", "node", "node-"],
      environment,
    );
    expect(completed.out.split("\n").slice(0, 3)).toEqual(["node-1", "node-2", "node-3"]);
  });

  it("reads a dump that kubectl made", async () => {
    const { kubeconfigPath } = rig().cluster.controlPlane;
    const kubectl = join(findAssetFolder(process.env)?.directory ?? "", "kubectl");
    const kinds = "nodes,vms,vmis,vmims,pods,havm,havmp,ftopo,nf,namespaces,kubevirts,pv,pvc";
    const config = `--kubeconfig=${kubeconfigPath}`;
    const dump = await execute(kubectl, [config, "get", kinds, "-A", "-o", "yaml"]);
    const leases = await execute(kubectl, [config, "get", "leases", "-n", "kube-node-lease", "-o", "yaml"]);
    const file = join(folder, "dump.yaml");
    await writeFile(file, `${dump.out}\n---\n${leases.out}`);
    const simulated = await execute(plugin, ["simulate", `--from=${file}`, "--lose=node-3", "-o", "json"]);
    expect(JSON.parse(simulated.out)).toMatchObject({ result: { scenario: { lose: ["node-3"] } } });
  });

  it("never hangs: a server that accepts and says nothing costs the deadline and no more", async () => {
    const mute = createServer(() => undefined);
    const { promise: listening, resolve } = Promise.withResolvers<void>();
    mute.listen(0, "127.0.0.1", () => resolve());
    await listening;
    const address = mute.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const config = join(folder, "mute");
    await writeFile(
      config,
      `apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nusers: [{name: a, user: {}}]\nclusters: [{name: a, cluster: {server: "http://127.0.0.1:${port ?? 0}", insecure-skip-tls-verify: true}}]\n`,
    );
    const ran = await execute(plugin, ["status", `--kubeconfig=${config}`, "--request-timeout=1s"]);
    mute.close();
    expect([ran.code, ran.err]).toEqual([1, expect.stringContaining("no answer within 1000 ms")]);
    const unknown = await execute(plugin, ["status", `--kubeconfig=${config}`, "--context=b"]);
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining("has no context b; it has a")]);
  });
});

// The chart with the real helm: what it renders is what deploy/ says, nonsense is refused, and install, upgrade, rollback and
// uninstall on a real API server lose no promise.
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import {
  type ChartTools,
  findChartTools,
  HELM_VERSION,
  KUBECONFORM_VERSION,
} from "../../lab/chart-tools/chart-tools.ts";
import { KUBERNETES_VERSION } from "../../lab/control-plane/versions.ts";
import packageJson from "../../package.json" with { type: "json" };
import { kubectl, type Said } from "../support/kubectl.ts";
import { schemaLocation, writeSchemas } from "../support/openapi-schemas.ts";
import { useControlPlane } from "./control-plane-fixture.ts";

const ROOT = join(import.meta.dirname, "../..");
const CHART = "charts/holdfast";
const NAMESPACE = "holdfast-system";
const DEADLINE_MS = 120_000;
/** What Prometheus' operator would bring; the lab's API server does not know it. */
const FOREIGN_KINDS = "PodMonitor,ServiceMonitor,PrometheusRule";
const EVERYTHING = [
  "remediation",
  ...["podMonitor", "serviceMonitor", "rules", "dashboards"].map((part) => `monitoring.${part}`),
].map((part) => `--set=${part}.enabled=true`);

const found = findChartTools();
if (!found)
  console.warn(
    `SKIPPED: the chart's tests need helm ${HELM_VERSION}: run node lab/chart-tools/provide.ts (needs Go)`,
  );
const tools: ChartTools = found ?? { helm: "", kubeconform: "" };

interface Rendered {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

describe.skipIf(!found)("the chart", () => {
  const controlPlane = useControlPlane();
  const scratch = mkdtempSync(join(tmpdir(), "holdfast-chart-"));
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  const run = (command: string, ...args: readonly string[]): Promise<Said> =>
    promisify(execFile)(command, args, {
      cwd: ROOT,
      timeout: DEADLINE_MS,
      maxBuffer: 32 * 1024 * 1024,
      env: {
        PATH: process.env["PATH"] ?? "",
        // helm keeps what it has learnt of the API server below it.
        HOME: scratch,
        KUBECONFIG: controlPlane().kubeconfigPath,
        HELM_CACHE_HOME: join(scratch, "cache"),
        HELM_CONFIG_HOME: join(scratch, "config"),
        HELM_DATA_HOME: join(scratch, "data"),
      },
    });
  const helm = (...args: readonly string[]) => run(tools.helm, ...args);
  const render = (...args: readonly string[]) =>
    helm(
      "template",
      "holdfast",
      CHART,
      `--kube-version=${KUBERNETES_VERSION}`,
      "-n",
      NAMESPACE,
      ...args,
    ).then(({ stdout }) => stdout);
  const get = async (...args: readonly string[]) =>
    (await kubectl(controlPlane().kubeconfigPath, "get", ...args)).stdout;

  test("it is of the version of the package, and its tools are those that the Go modules pin", () => {
    const chart = readFileSync(join(ROOT, CHART, "Chart.yaml"), "utf8");
    expect(chart).toContain(`\nversion: ${packageJson.version}\n`);
    expect(chart).toContain(`\nappVersion: ${packageJson.version}\n`);
    const modules = readFileSync(join(ROOT, "lab/chart-tools/build/go.mod"), "utf8");
    expect(modules).toContain(`helm.sh/helm/v3 ${HELM_VERSION} `);
    expect(modules).toContain(`github.com/yannh/kubeconform ${KUBECONFORM_VERSION} `);
  });

  test("helm lint --strict finds nothing", async () => {
    const { stdout } = await helm("lint", "--strict", CHART, "--namespace", NAMESPACE);
    expect(stdout).toContain("1 chart(s) linted, 0 chart(s) failed");
    expect(stdout).not.toMatch(/\[(WARNING|ERROR)\]/);
  });

  test("with its default values it is the plain manifests", async () => {
    const chart = objectsIn(await render());
    const { stdout } = await kubectl(controlPlane().kubeconfigPath, "kustomize", "deploy/");
    const plain = objectsIn(stdout);
    plain.delete(`Namespace ${NAMESPACE}`);
    expect([...chart.keys()].toSorted()).toEqual([...plain.keys()].toSorted());
    for (const [name, object] of plain) expect(chart.get(name), name).toEqual(object);
  });

  test.each([
    ["replicas=0", /replicas.*minimum: got 0, want 1/s],
    ["replicas=two", /replicas.*got string, want integer/s],
    ["replcas=2", /additional properties 'replcas' not allowed/],
    ["image.digest=latest", /image\/digest.*does not match pattern/s],
    ["image.pullPolicy=Sometimes", /image\/pullPolicy.*'Always', 'IfNotPresent', 'Never'/s],
    ["settings.node-lost-afer=30s", /settings.*additional properties 'node-lost-afer' not allowed/s],
    ["settings.kubeconfig=/tmp/x", /settings.*additional properties 'kubeconfig' not allowed/s],
    ["networkPolicy.enabled=maybe", /networkPolicy\/enabled.*got string, want boolean/s],
    ["monitoring.rules.runbookURL=wiki", /runbookURL.*does not match pattern/s],
    ["monitoring.podMonitor.interval=often", /interval.*does not match pattern/s],
  ])("%s is refused, and the message says why", async (value, words) => {
    await expect(render("--set", value)).rejects.toThrow(words);
  });

  test("settings become flags, and the fuller image its own tag", async () => {
    const values = join(scratch, "values.yaml");
    writeFileSync(values, "settings: { node-lost-after: 30s, dry-run: true, max-restarts-in-flight: 7 }\n");
    const text = await render(
      "--values",
      values,
      "--set=image.fenceAgents=true,image.repository=example.com/holdfast",
    );
    for (const flag of ["--node-lost-after=30s", "--dry-run=true", "--max-restarts-in-flight=7"])
      expect(text).toContain(`- "${flag}"`);
    expect(text).toContain(`image: "example.com/holdfast:${packageJson.version}-fence-agents"`);
  });

  test("the alerts lead to the runbook at the address that is given, chart and overlay alike", async () => {
    const url = "https://wiki.example.com/holdfast";
    const charted = await render(
      "--set=monitoring.rules.enabled=true",
      `--set=monitoring.rules.runbookURL=${url}`,
    );
    const overlay = join(scratch, "overlay");
    mkdirSync(overlay);
    // As the base's own comment tells, with the path as it is from here.
    const base = readFileSync(join(ROOT, "deploy/prometheus/kustomization.yaml"), "utf8");
    const told = base.split("make an overlay:\n")[1]?.split("\napiVersion")[0] ?? "";
    const text = told
      .replaceAll(/^# {3}/gm, "")
      .replace("../deploy/prometheus", relative(overlay, join(ROOT, "deploy/prometheus")));
    expect(text).toContain(url);
    writeFileSync(join(overlay, "kustomization.yaml"), text);
    const { stdout } = await kubectl(controlPlane().kubeconfigPath, "kustomize", overlay);
    const [chart = [], plain = []] = [charted, stdout].map((one) =>
      [...one.matchAll(/runbook_url: (\S+)/g)].map(([, link]) => link),
    );
    expect(chart.length).toBeGreaterThanOrEqual(14);
    expect(
      chart.every((link) => /^https:\/\/wiki\.example\.com\/holdfast#holdfast[a-z]+$/.test(link ?? "")),
    ).toBe(true);
    expect(new Set(plain)).toEqual(new Set(chart));
    expect(await render("--set=monitoring.rules.enabled=true")).toContain(
      "runbook_url: https://holdfast.dev/docs/runbook#holdfastvmdown",
    );
  });

  describe("on the API server", () => {
    const promise = "havirtualmachine.holdfast.dev/shop-db";

    beforeAll(async () => {
      const said = await helm("install", "holdfast", CHART, "--namespace", NAMESPACE, "--create-namespace");
      const files = said.stdout.match(/deploy\/samples\/\S+/g) ?? [];
      expect(files, "the notes say the next step").toHaveLength(2);
      for (const file of files) expect(existsSync(join(ROOT, file)), file).toBe(true);
      await kubectl(controlPlane().kubeconfigPath, "wait", "--for=condition=Established", "crd", "--all");
      await kubectl(controlPlane().kubeconfigPath, "apply", "-f", "deploy/samples/ha-virtual-machine.yaml");
    });

    test("kubeconform finds nothing against the server's own schemas, and it can find something", async () => {
      const schemas = join(scratch, "schemas");
      expect(await writeSchemas(controlPlane().admin, schemas)).toBeGreaterThan(100);
      const rendered = join(scratch, "rendered.yaml");
      const check = (file: string) =>
        run(
          tools.kubeconform,
          "-strict",
          "-summary",
          "-skip",
          FOREIGN_KINDS,
          "-schema-location",
          schemaLocation(schemas),
          file,
        );
      const text = await render(...EVERYTHING);
      writeFileSync(rendered, text);
      const said = await check(rendered);
      expect(said.stdout).toMatch(/Valid: \d{2,}, Invalid: 0, Errors: 0, Skipped: 3/);
      writeFileSync(rendered, text.replace("maxUnavailable: 1", "maxUnavailable: [1]"));
      await expect(check(rendered)).rejects.toThrow();
      writeFileSync(rendered, text.replace("  replicas: 2", "  replica: 2"));
      await expect(check(rendered)).rejects.toThrow();
      const samples = await check("deploy/samples");
      expect(samples.stdout).toMatch(/Invalid: 0, Errors: 0/);
    });

    test("upgrade and rollback change what they should, and neither the Lease nor a promise", async () => {
      const lease = "jsonpath={.metadata.uid} {.metadata.resourceVersion}";
      const leaseBefore = await get("lease", "holdfast", "-n", NAMESPACE, "-o", lease);
      const upgrade = await helm(
        "upgrade",
        "holdfast",
        CHART,
        "-n",
        NAMESPACE,
        "--set=replicas=3,settings.dry-run=true",
      );
      expect(upgrade.stdout).toContain("dry-run is set: Holdfast decides and reports, and never acts.");
      const shape = "jsonpath={.spec.replicas} {.spec.template.spec.containers[0].args}";
      expect(await get("deployment", "holdfast", "-n", NAMESPACE, "-o", shape)).toBe('3 ["--dry-run=true"]');
      await helm("rollback", "holdfast", "1", "--namespace", NAMESPACE);
      expect(await get("deployment", "holdfast", "-n", NAMESPACE, "-o", shape)).toMatch(/^2 (\[\])?$/);
      expect(await get("lease", "holdfast", "-n", NAMESPACE, "-o", lease)).toBe(leaseBefore);
      expect(await get("havm", "-o", "name")).toContain(promise);
    });

    test("an upgrade brings new schemas, and every promise is still the same object", async () => {
      const newer = join(scratch, "newer");
      cpSync(join(ROOT, CHART), newer, { recursive: true });
      const crd = join(newer, "files/crds/holdfast.dev_havirtualmachines.yaml");
      const text = readFileSync(crd, "utf8");
      const changed = text.replace("shortNames:\n", "shortNames:\n      - newest\n");
      expect(changed).not.toBe(text);
      writeFileSync(crd, changed);
      const uid = ["havm", "shop-db", "-o", "jsonpath={.metadata.uid}"] as const;
      const before = await get(...uid);
      await helm("upgrade", "holdfast", newer, "-n", NAMESPACE);
      const names = "jsonpath={.spec.names.shortNames}";
      expect(await get("crd", "havirtualmachines.holdfast.dev", "-o", names)).toContain("newest");
      expect(await get(...uid)).toBe(before);
      await helm("rollback", "holdfast", "--namespace", NAMESPACE);
      expect(await get("crd", "havirtualmachines.holdfast.dev", "-o", names)).not.toContain("newest");
      expect(await get(...uid)).toBe(before);
    });

    test("a second Holdfast in the cluster is refused", async () => {
      await expect(
        helm("install", "other", CHART, "--namespace", "elsewhere", "--create-namespace"),
      ).rejects.toThrow(/exists and cannot be imported into the current release/);
    });

    test("uninstall says what it means, leaves every promise, and a new install takes them up again", async () => {
      const said = await helm("uninstall", "holdfast", "--namespace", NAMESPACE);
      expect(`${said.stdout}${said.stderr}`).toMatch(/Holdfast is being removed: from now on no VM/);
      expect(said.stdout).toMatch(/kept due to the resource policy[\s\S]*havirtualmachines.holdfast.dev/);
      expect(await get("havm", "-o", "name")).toContain(promise);
      await expect(get("deployment", "holdfast", "-n", NAMESPACE)).rejects.toThrow(/NotFound/);
      await helm("install", "holdfast", CHART, "--namespace", NAMESPACE);
      expect(await get("havm", "-o", "name")).toContain(promise);
    });
  });
});

/** Objects by kind, namespace and name, without what tells only who made them. */
function objectsIn(text: string): Map<string, unknown> {
  const objects = parseAllDocuments(text)
    .map((document) => document.toJS() as Rendered | null)
    .filter((one): one is Rendered => one !== null);
  return new Map(objects.map((one) => [nameOf(one), withoutOrigin(one)]));
}

function nameOf({ kind, metadata: { name, namespace } }: Rendered): string {
  return namespace === undefined ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
}

function withoutOrigin(object: Rendered): unknown {
  const { labels: _labels, annotations = {}, ...metadata } = object.metadata;
  const own = Object.fromEntries(
    Object.entries(annotations).filter(([name]) => !name.startsWith("helm.sh/")),
  );
  // What the API server would fill in by itself for a tag that is not `latest`.
  const text = JSON.stringify({ ...object, metadata: { ...metadata, annotations: own } });
  return JSON.parse(text.replaceAll('"imagePullPolicy":"IfNotPresent",', "")) as unknown;
}

// The same conversations with the KubeVirt stand-in and, where KUBEVIRT_ASSETS names a folder with it, with the real one.
import { request as httpsRequest } from "node:https";
import { afterAll, afterEach, beforeAll, describe, vi } from "vitest";
import { type Cluster, type ClusterOptions, startCluster } from "../../lab/cluster.ts";
import type { Migration, Vm } from "../../lab/cluster/cluster-view.ts";
import type { VmRequest } from "../../lab/cluster/vm-manifest.ts";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { expectOk } from "../../lab/kubevirt/calls.ts";
import { ASSETS_VARIABLE } from "../../lab/kubevirt/start.ts";
import type { Pod } from "../../lab/nodes/objects.ts";
import type { Vmi } from "../../lab/nodes/vmi.ts";
import type { ApiOutcome, ApiTransport } from "../../src/kube/transport.ts";

export const NAMESPACE = "default";
export const KUBEVIRT = `/apis/kubevirt.io/v1/namespaces/${NAMESPACE}`;
const MIGRATIONS = `${KUBEVIRT}/virtualmachineinstancemigrations`;
const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;

/** Short enough for a test, long enough to look at each state. */
const DELAYS = { podStartMs: 100, guestBootMs: 200, guestShutdownMs: 200, nodeBootMs: 300, preCopyMs: 1_500 };

/** Runs `conversations` twice, the second time against KubeVirt's own controllers or, loudly, not at all. */
export function describeBoth(
  title: string,
  options: Partial<ClusterOptions>,
  conversations: (rig: Rig) => void,
): void {
  const assets = process.env[ASSETS_VARIABLE];
  if (!assets) {
    console.warn(
      `NOT RUN: "${title}" against the real KubeVirt. Set ${ASSETS_VARIABLE} to a folder with virt-controller, virt-api and crds/*.yaml.`,
    );
  }
  describe.each([
    { kind: "the stand-in", folder: undefined },
    ...(assets ? [{ kind: "the real KubeVirt", folder: assets }] : []),
  ])(`${title}: $kind`, ({ folder }) => {
    const rig = new Rig();
    beforeAll(async () => {
      vi.stubEnv(ASSETS_VARIABLE, folder);
      try {
        await rig.start(options);
      } finally {
        vi.unstubAllEnvs();
      }
    });
    afterEach(() => rig.tidy());
    afterAll(() => rig.stop());
    conversations(rig);
  });
}

/** A cluster and the few moves the conversations are made of. */
export class Rig {
  #cluster: Cluster | undefined;
  #nextName = 1;

  get cluster(): Cluster {
    if (!this.#cluster) throw new Error("the cluster exists only inside tests and hooks");
    return this.#cluster;
  }

  get admin(): ApiTransport {
    return this.cluster.controlPlane.admin;
  }

  async start(options: Partial<ClusterOptions>): Promise<void> {
    this.#cluster = await startCluster({ nodes: 3, ...options, delays: { ...DELAYS, ...options.delays } });
  }

  async stop(): Promise<void> {
    await this.#cluster?.stop();
  }

  /** A name no other test uses. */
  name(prefix = "vm"): string {
    return `${prefix}-${this.#nextName++}`;
  }

  vm(name: string): Vm | undefined {
    return this.cluster.view.vms.get(`${NAMESPACE}/${name}`);
  }

  vmi(name: string): Vmi | undefined {
    return this.cluster.view.vmis.get(`${NAMESPACE}/${name}`);
  }

  migration(name: string): Migration | undefined {
    return this.cluster.view.migrations.get(`${NAMESPACE}/${name}`);
  }

  /** Pods that VMIs control, finished ones included. */
  launchersOn(nodeName: string): Pod[] {
    return this.#launchers().filter((pod) => pod.spec.nodeName === nodeName);
  }

  launchersOf(vmi: Vmi): Pod[] {
    return this.#launchers().filter((pod) =>
      pod.metadata.ownerReferences?.some((owner) => owner.uid === vmi.metadata.uid),
    );
  }

  #launchers(): Pod[] {
    return [...this.cluster.view.pods.values()].filter(
      (pod) => pod.metadata.labels?.["kubevirt.io"] === "virt-launcher",
    );
  }

  /** Creates a VM and waits until it runs, on `node` where one is named. */
  async run(request: Partial<VmRequest> & { readonly node?: string } = {}): Promise<Vmi> {
    const { node, ...rest } = request;
    const vm = { namespace: NAMESPACE, name: this.name(), ...rest };
    const others = this.cluster.fleet.nodes.filter((each) => node !== undefined && each.name !== node);
    for (const other of others) await this.cordon(other.name, true);
    await this.cluster.createVM(vm);
    if (vm.runStrategy === "Manual") await this.startVM(vm.name);
    const vmi = await this.cluster.waitForRunning(`${NAMESPACE}/${vm.name}`);
    for (const other of others) await this.cordon(other.name, false);
    return this.until(`${vm.name} is judged migratable`, () => {
      const now = this.vmi(vm.name);
      const judged = now?.status?.conditions?.some(({ type }) => type === "LiveMigratable");
      return now?.metadata.uid === vmi.metadata.uid && judged ? now : undefined;
    });
  }

  async startVM(name: string): Promise<void> {
    expectOk(await this.verb("virtualmachines", name, "start"), `start ${name}`);
  }

  /** PUT of a subresource, as an administrator unless another transport is given. */
  verb(
    resource: string,
    name: string,
    verb: string,
    api: ApiTransport = this.admin,
  ): Promise<ApiOutcome<unknown>> {
    const path = `/apis/subresources.kubevirt.io/v1/namespaces/${NAMESPACE}/${resource}/${name}/${verb}`;
    return api.request({ method: "PUT", path, body: {} });
  }

  /** Status code of the same call with an Accept header of one's own, or none. */
  async verbAccepting(name: string, verb: string, accept: string | undefined): Promise<number> {
    const path = `/apis/subresources.kubevirt.io/v1/namespaces/${NAMESPACE}/virtualmachines/${name}/${verb}`;
    const { controlPlane } = this.cluster;
    const url = new URL(controlPlane.server + path);
    const options: { ca?: string | Buffer; cert?: string | Buffer; key?: string | Buffer } = {};
    await controlPlane
      .kubeConfigFor({ user: "admin", groups: ["system:masters"] })
      .applyToHTTPSOptions(options);
    return new Promise((resolve, reject) => {
      const headers = accept === undefined ? {} : { accept };
      const call = httpsRequest(url, { ...options, method: "PUT", headers, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      call.once("error", reject);
      call.end();
    });
  }

  postMigration(
    spec: { readonly vmiName: string } & Record<string, unknown>,
    options: {
      readonly name?: string;
      readonly annotations?: Record<string, string>;
      readonly api?: ApiTransport;
    } = {},
  ): Promise<ApiOutcome<Migration>> {
    const { name = this.name("migration"), annotations, api = this.admin } = options;
    return api.request<Migration>({
      method: "POST",
      path: MIGRATIONS,
      body: {
        apiVersion: "kubevirt.io/v1",
        kind: "VirtualMachineInstanceMigration",
        metadata: { name, ...(annotations ? { annotations } : {}) },
        spec,
      },
    });
  }

  /** Creates a migration that must be accepted; the answer is its name. */
  async migrate(
    vmi: Vmi,
    spec: Record<string, unknown> = {},
    annotations: Record<string, string> = {},
  ): Promise<string> {
    const outcome = await this.postMigration({ vmiName: vmi.metadata.name, ...spec }, { annotations });
    return expectOk(outcome, "create a migration").metadata.name;
  }

  deleteMigration(name: string): Promise<ApiOutcome<unknown>> {
    return this.admin.request({ method: "DELETE", path: `${MIGRATIONS}/${name}` });
  }

  phase(migrationName: string, phases: readonly string[], deadlineMs = 30_000): Promise<Migration> {
    return this.until(
      `${migrationName} is ${phases.join(" or ")}`,
      () => {
        const migration = this.migration(migrationName);
        return phases.includes(migration?.status?.phase ?? "") ? migration : undefined;
      },
      { deadlineMs, seen: () => this.migration(migrationName)?.status },
    );
  }

  /** Deletes a pod at once, as an operator does after a proven fence. */
  forceDelete(pod: Pod): Promise<ApiOutcome<unknown>> {
    const { name, uid } = pod.metadata;
    const body = { gracePeriodSeconds: 0, preconditions: { uid } };
    return this.admin.request({ method: "DELETE", path: `${PODS}/${name}`, body });
  }

  deletePod(pod: Pod): Promise<ApiOutcome<unknown>> {
    return this.admin.request({ method: "DELETE", path: `${PODS}/${pod.metadata.name}` });
  }

  evict(pod: Pod, options: { readonly dryRun?: boolean } = {}): Promise<ApiOutcome<unknown>> {
    const { name } = pod.metadata;
    return this.admin.request({
      method: "POST",
      path: `${PODS}/${name}/eviction`,
      query: options.dryRun ? { dryRun: "All" } : {},
      body: { apiVersion: "policy/v1", kind: "Eviction", metadata: { name, namespace: NAMESPACE } },
    });
  }

  async powerOff(nodeName: string): Promise<void> {
    await this.cluster.fleet.node(nodeName).power.off();
  }

  /** The writes of a failover in their order: taint, then every launcher pod of the node. */
  async release(nodeName: string): Promise<void> {
    await this.taint(nodeName, [
      { key: "node.kubernetes.io/out-of-service", value: "nodeshutdown", effect: "NoExecute" },
    ]);
    for (const pod of this.launchersOn(nodeName)) await this.forceDelete(pod);
  }

  async taint(nodeName: string, taints: readonly object[]): Promise<void> {
    await this.patchNode(nodeName, { spec: { taints } });
  }

  async cordon(nodeName: string, on: boolean): Promise<void> {
    await this.patchNode(nodeName, { spec: { unschedulable: on || null } });
  }

  async patchNode(nodeName: string, body: object): Promise<void> {
    const outcome = await this.admin.request({
      method: "PATCH",
      path: `/api/v1/nodes/${nodeName}`,
      contentType: "application/merge-patch+json",
      body,
    });
    expectOk(outcome, `patch ${nodeName}`);
  }

  patchVmi(name: string, body: object, api: ApiTransport = this.admin): Promise<ApiOutcome<Vmi>> {
    const path = `${KUBEVIRT}/virtualmachineinstances/${name}`;
    return api.request<Vmi>({ method: "PATCH", path, contentType: "application/merge-patch+json", body });
  }

  until<T>(
    description: string,
    look: () => Promise<T | undefined> | T | undefined,
    options: { readonly deadlineMs?: number; readonly seen?: () => unknown } = {},
  ): Promise<T> {
    return waitFor(
      description,
      (saw) => {
        if (options.seen) saw(options.seen());
        return look();
      },
      options.deadlineMs,
    );
  }

  /** Another VMI than `old` runs under its name. */
  restarted(old: Vmi, deadlineMs = 30_000): Promise<Vmi> {
    const key = `${NAMESPACE}/${old.metadata.name}`;
    return this.cluster.waitForRunning(key, { except: old.metadata.uid ?? "", deadlineMs });
  }

  /** Back to healthy nodes without VMs. */
  async tidy(): Promise<void> {
    for (const node of this.cluster.fleet.nodes) {
      if (node.state === "off") await node.power.on();
      await this.patchNode(node.name, { spec: { taints: null, unschedulable: null } });
    }
    for (const resource of ["virtualmachines", "virtualmachineinstancemigrations"]) {
      await this.admin.request({ method: "DELETE", path: `${KUBEVIRT}/${resource}` });
    }
    await this.until(
      "nothing is left of the test",
      () => {
        for (const pod of this.#launchers()) void this.forceDelete(pod);
        const { view, fleet } = this.cluster;
        const empty = [...view.vms.values(), ...view.vmis.values(), ...view.migrations.values()].length === 0;
        const up = fleet.nodes.every((node) => node.state === "running" && this.#isSchedulable(node.name));
        return empty && up && this.#launchers().length === 0 ? true : undefined;
      },
      { deadlineMs: 90_000, seen: () => this.#leftovers() },
    );
  }

  #isSchedulable(nodeName: string): boolean {
    const node = this.cluster.view.nodes.get(nodeName);
    const ready = node?.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
    return (
      ready === true &&
      node?.metadata.labels?.["kubevirt.io/schedulable"] === "true" &&
      !node.spec?.taints?.length
    );
  }

  #leftovers(): unknown {
    const { view, fleet } = this.cluster;
    return {
      vms: [...view.vms.values()].map(({ metadata }) => metadata.name),
      vmis: [...view.vmis.values()].map(({ metadata, status }) => [
        metadata.name,
        metadata.finalizers,
        status?.phase,
      ]),
      migrations: [...view.migrations.values()].map(({ metadata, status }) => [metadata.name, status?.phase]),
      pods: this.#launchers().map(({ metadata }) => metadata.name),
      nodes: fleet.nodes.map((node) => [node.name, node.state, this.#isSchedulable(node.name)]),
    };
  }
}

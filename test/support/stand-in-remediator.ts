// A remediation operator in this process, by the medik8s contract: its kinds and rights on the API server, and a controller
// that fences, taints, tells, and cleans up when its remediation is deleted. What it does to a node the test gives it. Lives
// in the lab's time, so that a simulation runs it as well.
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { apply } from "../../lab/holdfast/install.ts";
import { labTime, sleep } from "../../lab/lab-time.ts";
import { openCrd } from "./open-crd.ts";
import type { ApiTransport } from "../../src/kube/transport.ts";

const GROUP = "fence-agents-remediation.medik8s.io";
export const REMEDIATION_API_VERSION = `${GROUP}/v1alpha1`;
export const REMEDIATOR_NAMESPACE = "medik8s";
const KINDS = [
  ["FenceAgentsRemediation", "fenceagentsremediations"],
  ["FenceAgentsRemediationTemplate", "fenceagentsremediationtemplates"],
] as const;
const FINALIZER = "fence-agents-remediation.medik8s.io/far-finalizer";
/** As with its strategy OutOfServiceTaint: under the second no virt-handler starts on the node. */
const TAINTS = [
  { key: "remediation.medik8s.io/fence-agents-remediation", effect: "NoSchedule" },
  { key: "node.kubernetes.io/out-of-service", value: "nodeshutdown", effect: "NoExecute" },
];
const POLL_MS = 100;
const MERGE = "application/merge-patch+json";

/** What came of one run of the fence agent. `failed`: it said so, whatever it did. */
export type AgentEnd = "done" | "failed";

interface Agent {
  readonly callOff: AbortController;
  end?: AgentEnd;
}

export interface StandingRemediation {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly creationTimestamp: string;
    readonly deletionTimestamp?: string;
    readonly finalizers?: readonly string[];
    readonly annotations?: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[];
  };
  readonly spec?: unknown;
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

export class StandInRemediator {
  /** What it does to a node, once for each remediation; how that ended is told when it has. `signal`: it was called off. */
  fence: (node: string, signal: AbortSignal) => Promise<AgentEnd | void> = async () => {};
  /** While false its controller is down: nothing moves. */
  running = true;
  /** UIDs of the remediations whose node it has fenced, in order. */
  readonly fenced: string[] = [];
  readonly #admin: ApiTransport;
  readonly #namespace: string;
  readonly #collection: string;
  readonly #untilNext: () => Promise<void>;
  readonly #agents = new Map<string, Agent>();
  #stopped = false;
  #loop: Promise<void> = Promise.resolve();
  #lookNow: () => void = () => undefined;

  /** `untilNext`: settles when it is time to look again; every 100 ms unless said. */
  constructor(
    admin: ApiTransport,
    namespace: string = REMEDIATOR_NAMESPACE,
    untilNext: () => Promise<void> = () => sleep(POLL_MS),
  ) {
    this.#admin = admin;
    this.#namespace = namespace;
    this.#collection = `/apis/${REMEDIATION_API_VERSION}/namespaces/${namespace}/fenceagentsremediations`;
    this.#untilNext = untilNext;
  }

  /** Installs kinds, rights for whoever drives it, and one template, and starts the controller. */
  async start(templateName: string): Promise<void> {
    for (const [kind, plural] of KINDS)
      await apply(this.#admin, openCrd({ group: GROUP, kind, plural, scope: "Namespaced" }));
    await apply(this.#admin, driverRole() as never);
    const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: this.#namespace } };
    await apply(this.#admin, namespace);
    await waitFor("the remediator's kinds are served", async () => {
      return (await this.#admin.request({ method: "GET", path: this.#collection })).ok || undefined;
    });
    await this.run(templateName);
  }

  /** Makes one template and runs the controller, where kinds and namespace are there already. */
  async run(templateName: string): Promise<void> {
    await this.#admin.request({
      method: "POST",
      path: this.#collection.replace(/s$/, "templates"),
      body: {
        apiVersion: REMEDIATION_API_VERSION,
        kind: "FenceAgentsRemediationTemplate",
        metadata: {
          name: templateName,
          annotations: { "remediation.medik8s.io/multiple-templates-support": "true" },
        },
        spec: { template: { spec: { agent: "fence_stand_in", sharedparameters: { "--action": "off" } } } },
      },
    });
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loop;
  }

  async remediations(): Promise<readonly StandingRemediation[]> {
    const read = await this.#admin.request<{ readonly items: readonly StandingRemediation[] }>({
      method: "GET",
      path: this.#collection,
    });
    return read.ok ? read.value.items : [];
  }

  /** Makes a remediation as NodeHealthCheck would. */
  async makeAsHealthCheck(node: string, templateName: string): Promise<void> {
    await this.#admin.request({
      method: "POST",
      path: this.#collection,
      body: {
        apiVersion: REMEDIATION_API_VERSION,
        kind: "FenceAgentsRemediation",
        metadata: {
          generateName: `${node}-`,
          annotations: {
            "remediation.medik8s.io/node-name": node,
            "remediation.medik8s.io/template-name": templateName,
          },
          labels: { "app.kubernetes.io/part-of": "node-healthcheck-controller" },
        },
        spec: { agent: "fence_stand_in" },
      },
    });
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      if (this.running) for (const one of await this.remediations()) await this.#reconcile(one);
      await Promise.race([
        this.#untilNext(),
        new Promise<void>((resolve) => {
          this.#lookNow = resolve;
        }),
      ]);
    }
  }

  async #reconcile({ metadata, status }: StandingRemediation): Promise<void> {
    const { name, uid, annotations = {}, finalizers = [], deletionTimestamp } = metadata;
    const node = annotations["remediation.medik8s.io/node-name"] ?? name;
    const path = `${this.#collection}/${name}`;
    const is = (type: string, value: string): boolean =>
      status?.conditions?.some((one) => one.type === type && one.status === value) === true;
    if (deletionTimestamp !== undefined) {
      this.#agents.get(uid)?.callOff.abort();
      if (!finalizers.includes(FINALIZER) || !(await this.#taint(node, false))) return;
      await this.#patch(path, { metadata: { finalizers: null } });
    } else if (annotations["remediation.medik8s.io/nhc-timed-out"] !== undefined) {
      this.#agents.get(uid)?.callOff.abort();
      if (!is("Succeeded", "False")) await this.#tell(path, { Processing: "False", Succeeded: "False" });
    } else if (!finalizers.includes(FINALIZER)) {
      await this.#patch(path, { metadata: { finalizers: [FINALIZER] } });
      await this.#tell(path, {
        Processing: "True",
        Succeeded: "Unknown",
        FenceAgentActionSucceeded: "Unknown",
      });
    } else if (!is("FenceAgentActionSucceeded", "True") && !is("Succeeded", "False")) {
      const end = this.#endOfAgent(uid, node);
      if (end === "failed") await this.#tell(path, { Processing: "False", Succeeded: "False" });
      if (end !== "done" || !(await this.#taint(node, true))) return;
      this.fenced.push(uid);
      await this.#tell(path, { Processing: "False", Succeeded: "True", FenceAgentActionSucceeded: "True" });
    }
  }

  /** Runs the agent once for each remediation, beside everything else; undefined while it runs. */
  #endOfAgent(uid: string, node: string): AgentEnd | undefined {
    const known = this.#agents.get(uid);
    if (known !== undefined) return known.end;
    const agent: Agent = { callOff: new AbortController() };
    this.#agents.set(uid, agent);
    void this.#runAgent(node, agent);
    return undefined;
  }

  async #runAgent(node: string, agent: Agent): Promise<void> {
    agent.end = (await this.fence(node, agent.callOff.signal)) ?? "done";
    this.#lookNow();
  }

  async #tell(path: string, told: Readonly<Record<string, string>>): Promise<void> {
    const lastTransitionTime = new Date(labTime.wallMs()).toISOString().replace(/\.\d+Z$/, "Z");
    const conditions = Object.entries(told).map(([type, status]) => ({
      type,
      status,
      reason: "Told",
      message: "",
      lastTransitionTime,
    }));
    await this.#patch(`${path}/status`, { status: { conditions } });
  }

  /** False where it did not go through, since others write the node as well: the next look tries again. */
  async #taint(node: string, tainted: boolean): Promise<boolean> {
    const path = `/api/v1/nodes/${node}`;
    const read = await this.#admin.request<{
      readonly metadata: { readonly resourceVersion: string };
      readonly spec?: { readonly taints?: readonly { readonly key: string; readonly effect: string }[] };
    }>({ method: "GET", path });
    if (!read.ok) return read.kind === "notFound";
    const others = (read.value.spec?.taints ?? []).filter(
      (taint) => !TAINTS.some((ours) => ours.key === taint.key && ours.effect === taint.effect),
    );
    const { resourceVersion } = read.value.metadata;
    const taints = tainted ? [...others, ...TAINTS] : others;
    return this.#patch(path, { metadata: { resourceVersion }, spec: { taints } });
  }

  async #patch(path: string, body: object): Promise<boolean> {
    return (await this.#admin.request({ method: "PATCH", path, contentType: MERGE, body })).ok;
  }
}

/** As every such operator ships it. */
function driverRole(): object {
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: {
      name: "ext-remediation",
      labels: { "rbac.ext-remediation/aggregate-to-ext-remediation": "true" },
    },
    rules: [
      { apiGroups: [GROUP], resources: ["fenceagentsremediationtemplates"], verbs: ["get", "list", "watch"] },
      {
        apiGroups: [GROUP],
        resources: ["fenceagentsremediations"],
        verbs: ["get", "list", "watch", "create", "update", "patch", "delete"],
      },
    ],
  };
}

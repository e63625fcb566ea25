// Conversations with an API server: the same are held with the simulated and with the real one, and what was answered is
// compared. Each is told as a list of short answers, without what two servers cannot agree on (UIDs, versions, times, words).
import type { ApiOutcome, ApiRequest, ApiTransport } from "../../../src/kube/transport.ts";
import { isObject, objectIn, textOf } from "./json.ts";

export interface Conversation {
  readonly about: string;
  /** `namespace` exists and is this conversation's own. */
  readonly hold: (talk: Talk, namespace: string) => Promise<void>;
}

const MERGE = "application/merge-patch+json";
const JSON_PATCH = "application/json-patch+json";
const APPLY = "application/apply-patch+yaml";
const HOLDFAST = "/apis/holdfast.dev/v1alpha1";

/** Notes what a server answers. */
export class Talk {
  readonly answers: string[] = [];
  readonly #api: ApiTransport;

  constructor(api: ApiTransport) {
    this.#api = api;
  }

  /** Asks, notes kind and the members shown, and returns the whole answer. */
  async ask(request: ApiRequest, shows: readonly string[] = []): Promise<Readonly<Record<string, unknown>>> {
    const outcome: ApiOutcome<unknown> = await this.#api.request<unknown>(request);
    const said = outcome.ok ? `${outcome.status}` : `${outcome.kind} ${outcome.status}`;
    const value = outcome.ok ? outcome.value : undefined;
    const shown = shows.map((path) => `${path}=${JSON.stringify(sorted(memberAt(value, path)))}`);
    this.answers.push([request.method, said, ...shown].join(" "));
    return isObject(value) ? value : {};
  }

  note(line: string): void {
    this.answers.push(line);
  }

  /** Events of a watch until as many have come, in short; the first ERROR ends it. */
  async watch(request: ApiRequest, count: number): Promise<void> {
    const opened = await this.#api.stream(request);
    if (!opened.ok) return this.note(`watch: ${opened.kind} ${opened.status}`);
    const lines: string[] = [];
    for await (const line of opened.value.lines) {
      const { type, object } = line as { readonly type: string; readonly object: unknown };
      const what =
        type === "ERROR" ? textOf(memberAt(object, "code")) : textOf(memberAt(object, "metadata.name"));
      lines.push(`${type} ${what}`);
      if (type === "ERROR" || lines.length >= count) break;
    }
    opened.value.close();
    this.note(`watch: ${lines.join(", ")}`);
  }
}

function memberAt(value: unknown, path: string): unknown {
  let at: unknown = value;
  for (const step of path.split(".")) at = isObject(at) ? at[step] : undefined;
  return at;
}

/** Members in alphabetical order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .toSorted()
      .map((key) => [key, sorted(value[key])]),
  );
}

function versionOf(object: Readonly<Record<string, unknown>>): string {
  return textOf(objectIn(object, "metadata")["resourceVersion"]);
}

function uidOf(object: Readonly<Record<string, unknown>>): string {
  return textOf(objectIn(object, "metadata")["uid"]);
}

const configMaps = (namespace: string) => `/api/v1/namespaces/${namespace}/configmaps`;
const vms = (namespace: string) => `/apis/kubevirt.io/v1/namespaces/${namespace}/virtualmachines`;

const LEVEL = {
  name: "bmc",
  method: "Redfish",
  redfish: { address: "https://bmc.example", credentialsSecretRef: { name: "bmc" } },
};

export const CONVERSATIONS: readonly Conversation[] = [
  {
    about: "objects are created once, read, and gone after their deletion",
    hold: async (talk, namespace) => {
      const path = configMaps(namespace);
      await talk.ask({ method: "POST", path, body: { metadata: { name: "one" }, data: { a: "1" } } }, [
        "data",
        "metadata.namespace",
      ]);
      await talk.ask({ method: "POST", path, body: { metadata: { name: "one" } } });
      await talk.ask({ method: "POST", path, body: { metadata: { name: "two", resourceVersion: "7" } } });
      await talk.ask({ method: "POST", path, body: { metadata: {} } });
      await talk.ask({ method: "POST", path: configMaps("nowhere"), body: { metadata: { name: "one" } } });
      await talk.ask({ method: "GET", path: `${path}/one` }, ["data"]);
      await talk.ask({ method: "DELETE", path: `${path}/one` }, ["status", "kind"]);
      await talk.ask({ method: "GET", path: `${path}/one` });
      await talk.ask({ method: "DELETE", path: `${path}/one` });
      await talk.ask({ method: "GET", path: "/apis/nobody.example/v1/things" });
    },
  },
  {
    about: "a merge patch is a compare-and-swap where it names a version or a UID",
    hold: async (talk, namespace) => {
      const path = `${configMaps(namespace)}/swap`;
      const made = await talk.ask({
        method: "POST",
        path: configMaps(namespace),
        body: { metadata: { name: "swap" }, data: { a: "1", b: "2" } },
      });
      const patch = (body: object, shows: readonly string[] = ["data"]) =>
        talk.ask({ method: "PATCH", path, contentType: MERGE, body }, shows);
      const next = await patch({ metadata: { resourceVersion: versionOf(made) }, data: { a: null, c: "3" } });
      await patch({ metadata: { resourceVersion: versionOf(made) }, data: { a: "late" } });
      await patch({ metadata: { uid: "00000000-0000-0000-0000-000000000000" }, data: { a: "other" } });
      const same = await patch({ data: { c: "3" } });
      talk.note(`a patch that changes nothing keeps the version: ${versionOf(same) === versionOf(next)}`);
      await talk.ask({ method: "PATCH", path: `${path}-not`, contentType: MERGE, body: { data: {} } });
    },
  },
  {
    about: "JSON patches test, add, replace and remove, all or nothing",
    hold: async (talk, namespace) => {
      const path = `${vms(namespace)}/vm`;
      await talk.ask(
        {
          method: "POST",
          path: vms(namespace),
          body: {
            apiVersion: "kubevirt.io/v1",
            kind: "VirtualMachine",
            metadata: { name: "vm" },
            spec: { list: ["a"], deep: { x: 1 } },
          },
        },
        ["spec"],
      );
      const patch = (...body: object[]) =>
        talk.ask({ method: "PATCH", path, contentType: JSON_PATCH, body }, ["spec"]);
      await patch(
        { op: "test", path: "/spec/deep/x", value: 1 },
        { op: "replace", path: "/spec/deep/x", value: 2 },
      );
      await patch({ op: "test", path: "/spec/deep/x", value: 1 }, { op: "remove", path: "/spec/deep" });
      await patch({ op: "remove", path: "/spec/none" });
      await patch({ op: "replace", path: "/spec/none", value: 1 });
      await patch({ op: "remove", path: "/spec/none" });
      await patch(
        { op: "add", path: "/spec/list/-", value: "b" },
        { op: "add", path: "/spec/list/0", value: "0" },
      );
      await patch(
        { op: "test", path: "/spec/none", value: null },
        { op: "add", path: "/spec/some", value: true },
      );
    },
  },
  {
    about: "the status is written through /status alone, and only it",
    hold: async (talk, namespace) => {
      const path = `${vms(namespace)}/vm`;
      const body = {
        apiVersion: "kubevirt.io/v1",
        kind: "VirtualMachine",
        metadata: { name: "vm" },
        spec: { a: 1 },
        status: { early: true },
      };
      await talk.ask({ method: "POST", path: vms(namespace), body }, [
        "spec",
        "status",
        "metadata.generation",
      ]);
      await talk.ask(
        {
          method: "PATCH",
          path: `${path}/status`,
          contentType: MERGE,
          body: { spec: { a: 2 }, status: { ready: true } },
        },
        ["spec", "status", "metadata.generation"],
      );
      await talk.ask(
        { method: "PATCH", path, contentType: MERGE, body: { spec: { a: 3 }, status: { ready: false } } },
        ["spec", "status", "metadata.generation"],
      );
      const vmi = {
        apiVersion: "kubevirt.io/v1",
        kind: "VirtualMachineInstance",
        metadata: { name: "vm" },
        spec: {},
        status: { phase: "Pending" },
      };
      const vmis = `/apis/kubevirt.io/v1/namespaces/${namespace}/virtualmachineinstances`;
      await talk.ask({ method: "POST", path: vmis, body: vmi }, ["status"]);
      await talk.ask({
        method: "PATCH",
        path: `${vmis}/vm/status`,
        contentType: MERGE,
        body: { status: {} },
      });
    },
  },
  {
    about: "PUT on a custom resource wants its version, on a Lease it creates",
    hold: async (talk, namespace) => {
      const path = `${vms(namespace)}/vm`;
      const vm = {
        apiVersion: "kubevirt.io/v1",
        kind: "VirtualMachine",
        metadata: { name: "vm" },
        spec: { a: 1 },
      };
      const made = await talk.ask({ method: "POST", path: vms(namespace), body: vm });
      await talk.ask({ method: "PUT", path, body: vm });
      await talk.ask(
        {
          method: "PUT",
          path,
          body: { ...vm, metadata: { name: "vm", resourceVersion: versionOf(made) }, spec: { a: 2 } },
        },
        ["spec"],
      );
      await talk.ask({
        method: "PUT",
        path,
        body: { ...vm, metadata: { name: "vm", resourceVersion: versionOf(made) }, spec: { a: 3 } },
      });
      const leases = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
      const lease = {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name: "l", namespace },
        spec: { holderIdentity: "me" },
      };
      await talk.ask({ method: "PUT", path: `${leases}/l`, body: lease }, ["spec.holderIdentity"]);
      await talk.ask(
        { method: "PUT", path: `${leases}/l`, body: { ...lease, spec: { holderIdentity: "you" } } },
        ["spec.holderIdentity"],
      );
    },
  },
  {
    about: "server-side apply keeps, drops and contests fields by who applied them",
    hold: async (talk, namespace) => {
      const path = `${configMaps(namespace)}/applied`;
      const apply = (manager: string, data: object, more: { force?: boolean; metadata?: object } = {}) =>
        talk.ask(
          {
            method: "PATCH",
            path,
            contentType: APPLY,
            query: { fieldManager: manager, ...(more.force === undefined ? {} : { force: more.force }) },
            body: {
              apiVersion: "v1",
              kind: "ConfigMap",
              metadata: { name: "applied", namespace, ...more.metadata },
              data,
            },
          },
          ["data"],
        );
      await apply("one", { a: "1", b: "1" }, { metadata: { uid: "00000000-0000-0000-0000-000000000000" } });
      const made = await apply("one", { a: "1", b: "1" });
      await apply("two", { b: "1", c: "2" });
      await apply("one", { a: "1" });
      await apply("two", { c: "2" });
      await apply("two", { a: "2", c: "2" });
      await apply("two", { a: "2", c: "2" }, { force: true });
      await apply("one", { z: "1" });
      await apply("one", { z: "2" }, { metadata: { resourceVersion: versionOf(made) } });
      await apply("one", { z: "2" }, { metadata: { uid: "00000000-0000-0000-0000-000000000000" } });
      await apply("one", { z: "2" }, { metadata: { uid: uidOf(made) } });
      await talk.ask({ method: "PATCH", path, contentType: MERGE, body: { data: { z: "3" } } }, ["data"]);
      await apply("one", { y: "1" });
    },
  },
  {
    about: "deletion obeys preconditions and waits for finalizers",
    hold: async (talk, namespace) => {
      const path = `${configMaps(namespace)}/held`;
      const made = await talk.ask({
        method: "POST",
        path: configMaps(namespace),
        body: { metadata: { name: "held", finalizers: ["holdfast.dev/test"] } },
      });
      const remove = (preconditions: object) =>
        talk.ask(
          { method: "DELETE", path, body: { apiVersion: "v1", kind: "DeleteOptions", preconditions } },
          ["metadata.finalizers"],
        );
      await remove({ uid: "00000000-0000-0000-0000-000000000000" });
      await remove({ resourceVersion: "1" });
      const marked = await remove({ uid: uidOf(made) });
      talk.note(`marked: ${objectIn(marked, "metadata")["deletionTimestamp"] !== undefined}`);
      await remove({ uid: uidOf(made) });
      await talk.ask(
        { method: "PATCH", path, contentType: MERGE, body: { metadata: { finalizers: null } } },
        ["metadata.finalizers"],
      );
      await talk.ask({ method: "GET", path });
    },
  },
  {
    about: "a pod that is bound has its grace, and none by force",
    hold: async (talk, namespace) => {
      const pods = `/api/v1/namespaces/${namespace}/pods`;
      const pod = (name: string, nodeName?: string) => ({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name },
        spec: {
          terminationGracePeriodSeconds: 60,
          containers: [{ name: "c", image: "none" }],
          ...(nodeName === undefined ? {} : { nodeName }),
        },
      });
      const shows = ["metadata.deletionGracePeriodSeconds"];
      await talk.ask({ method: "POST", path: pods, body: pod("free") }, ["status.phase"]);
      await talk.ask({ method: "DELETE", path: `${pods}/free` }, shows);
      await talk.ask({ method: "GET", path: `${pods}/free` });
      const bound = await talk.ask({ method: "POST", path: pods, body: pod("bound", "no-such-node") });
      await talk.ask({ method: "DELETE", path: `${pods}/bound` }, shows);
      await talk.ask({ method: "DELETE", path: `${pods}/bound`, body: { gracePeriodSeconds: 90 } }, shows);
      await talk.ask({ method: "DELETE", path: `${pods}/bound`, body: { gracePeriodSeconds: 5 } }, shows);
      await talk.ask(
        {
          method: "DELETE",
          path: `${pods}/bound`,
          body: { gracePeriodSeconds: 0, preconditions: { uid: uidOf(bound) } },
        },
        shows,
      );
      await talk.ask({ method: "GET", path: `${pods}/bound` });
      await talk.ask({ method: "POST", path: pods, body: pod("late") });
      const binding = {
        apiVersion: "v1",
        kind: "Binding",
        metadata: { name: "late" },
        target: { kind: "Node", name: "n" },
      };
      await talk.ask({ method: "POST", path: `${pods}/late/binding`, body: binding });
      await talk.ask({ method: "POST", path: `${pods}/late/binding`, body: binding });
      await talk.ask({ method: "GET", path: `${pods}/late` }, ["spec.nodeName"]);
    },
  },
  {
    about: "our kinds get their defaults, and what is wrong is refused",
    hold: async (talk, namespace) => {
      const path = `${HOLDFAST}/fencingtopologies`;
      const topology = (name: string, spec: object) => ({
        apiVersion: "holdfast.dev/v1alpha1",
        kind: "FencingTopology",
        metadata: { name: `${namespace}-${name}` },
        spec,
      });
      await talk.ask(
        { method: "POST", path, body: topology("good", { nodeSelector: {}, levels: [LEVEL] }) },
        ["spec"],
      );
      await talk.ask({ method: "POST", path, body: topology("empty", { nodeSelector: {}, levels: [] }) });
      await talk.ask({
        method: "POST",
        path,
        body: topology("odd", { nodeSelector: {}, levels: [{ ...LEVEL, timeout: "never" }] }),
      });
      const promises = `${HOLDFAST}/namespaces/${namespace}/havirtualmachines`;
      const promise = {
        apiVersion: "holdfast.dev/v1alpha1",
        kind: "HAVirtualMachine",
        metadata: { name: "vm" },
        spec: { virtualMachineName: "vm" },
      };
      await talk.ask({ method: "POST", path: promises, body: promise }, ["spec"]);
      await talk.ask({
        method: "PATCH",
        path: `${promises}/vm`,
        contentType: MERGE,
        body: { spec: { priority: 5_000 } },
      });
      await talk.ask(
        {
          method: "PATCH",
          path: `${promises}/vm`,
          contentType: MERGE,
          body: { spec: { priority: 7, unknown: 1 } },
        },
        ["spec.priority", "spec.unknown"],
      );
    },
  },
  {
    about: "a ledger goes forward only, keeps its proof, and refuses an older epoch",
    hold: async (talk, namespace) => {
      const path = `${HOLDFAST}/nodefencings`;
      const name = `${namespace}-nf`;
      const at = "2026-11-22T00:00:00Z";
      const spec = {
        nodeName: "n",
        nodeUID: "u",
        bootID: "b",
        reason: "NodeLost",
        detectedAt: at,
        lastSeenAt: at,
      };
      const made = await talk.ask({
        method: "POST",
        path,
        body: { apiVersion: "holdfast.dev/v1alpha1", kind: "NodeFencing", metadata: { name }, spec },
      });
      const status = (value: object, metadata: object = {}) =>
        talk.ask(
          {
            method: "PATCH",
            path: `${path}/${name}/status`,
            contentType: APPLY,
            query: { fieldManager: "holdfast", force: true },
            body: {
              apiVersion: "holdfast.dev/v1alpha1",
              kind: "NodeFencing",
              metadata: { name, ...metadata },
              status: value,
            },
          },
          ["status"],
        );
      const attempt = {
        number: 1,
        level: "bmc",
        method: "Redfish",
        epoch: 2,
        startedAt: at,
        outcome: "Started",
      };
      await status(
        { phase: "Fencing", epoch: 2, attempts: [attempt], message: "asking" },
        { uid: uidOf(made), resourceVersion: versionOf(made) },
      );
      await status({ phase: "Fencing", epoch: 2 }, { resourceVersion: versionOf(made) });
      await status({ phase: "Fencing", epoch: 1, attempts: [attempt] });
      await status({ phase: "Fenced", epoch: 2, attempts: [attempt] });
      const proof = { type: "PowerOff", bootID: "b", observedAt: at, detail: "Off" };
      await status({
        phase: "Fenced",
        epoch: 3,
        attempts: [{ ...attempt, outcome: "PoweredOff", endedAt: at }],
        proof,
      });
      await status({ phase: "Releasing", epoch: 3, proof: { ...proof, detail: "other" } });
      await status({ phase: "Fencing", epoch: 3, proof });
      await status({ phase: "Returned", epoch: 3, proof });
      await status({ phase: "Aborted", epoch: 3, proof });
      await talk.ask({
        method: "PATCH",
        path: `${path}/${name}`,
        contentType: MERGE,
        body: { spec: { bootID: "c" } },
      });
    },
  },
  {
    about: "a watch goes on from a list, sees selectors come and go, and is told when it is too late",
    hold: async (talk, namespace) => {
      const path = configMaps(namespace);
      const create = (name: string, labels: object) =>
        talk.ask({ method: "POST", path, body: { metadata: { name, labels } } });
      await create("w-1", { app: "x" });
      const list = await talk.ask({ method: "GET", path, query: { labelSelector: "app=x" } });
      talk.note(`listed: ${(list["items"] as readonly unknown[]).length}`);
      const from = versionOf(list);
      await create("w-2", { app: "x" });
      await create("w-3", { app: "y" });
      await talk.ask({
        method: "PATCH",
        path: `${path}/w-1`,
        contentType: MERGE,
        body: { metadata: { labels: { app: "y" } } },
      });
      await talk.ask({
        method: "PATCH",
        path: `${path}/w-3`,
        contentType: MERGE,
        body: { metadata: { labels: { app: "x" } } },
      });
      await talk.ask({
        method: "PATCH",
        path: `${path}/w-3`,
        contentType: MERGE,
        body: { data: { a: "1" } },
      });
      await talk.ask({ method: "DELETE", path: `${path}/w-2` });
      const query = { watch: true, resourceVersion: from, timeoutSeconds: 20 };
      await talk.watch({ method: "GET", path, query: { ...query, labelSelector: "app=x" } }, 5);
      await talk.watch({ method: "GET", path, query: { ...query, fieldSelector: "metadata.name=w-3" } }, 3);
      await talk.watch({ method: "GET", path, query: { ...query, resourceVersion: "1" } }, 1);
      const one = await talk.ask({
        method: "GET",
        path,
        query: { labelSelector: "app in (x,z),!none", limit: 500 },
      });
      talk.note(
        `selected: ${(one["items"] as readonly unknown[]).map((item) => textOf(memberAt(item, "metadata.name"))).join()}`,
      );
    },
  },
];

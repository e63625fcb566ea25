// A dump of a cluster (`kubectl get … -o yaml`) that answers like an API server, so that every reading command works on
// it unchanged. Nothing can be written to it.
import { parseAllDocuments } from "yaml";
import type { ApiFailureKind, ApiOutcome, ApiRequest, ApiStream, ApiTransport } from "../kube/transport.ts";
import { sameData } from "../model/equal.ts";
import { selectorMatches } from "../model/label-selector.ts";
import type { Outcome } from "./cli-world.ts";
import { parseSelector } from "./selector-text.ts";

/** Any Kubernetes object, as far as a dump needs to know it. */
export interface RawObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

const LIST_VERSION = "1";
const PATH = /^\/(?:api\/v1|apis\/([^/]+)\/[^/]+)(?:\/namespaces\/([^/]+)(?=\/))?\/([^/]+)(?:\/([^/]+))?$/;

/** Kinds that live in no namespace. Hand-written dumps leave `namespace: default` out; for these it is right so. */
const CLUSTER_SCOPED: readonly string[] = [
  "Node",
  "Namespace",
  "PersistentVolume",
  "StorageClass",
  "HAVirtualMachinePolicy",
  "FencingTopology",
  "NodeFencing",
  "FencingDisarm",
  "FailoverDrill",
];

/** Answers reads from the objects of a dump; a write is refused. */
export class DumpServer implements ApiTransport {
  readonly objects: readonly RawObject[];

  constructor(objects: readonly RawObject[]) {
    this.objects = objects.map(complete);
  }

  /** Reads YAML or JSON: one object, a List, or several documents of either. */
  static parse(text: string): Outcome<DumpServer> {
    const objects: RawObject[] = [];
    for (const document of parseAllDocuments(text)) {
      const [error] = document.errors;
      if (error !== undefined)
        return {
          ok: false,
          message: `is no YAML or JSON, or was cut off (several JSON lists need a line --- between them): ${error.message}`,
        };
      const problem = collect(document.toJS(), objects);
      if (problem !== undefined) return { ok: false, message: problem };
    }
    if (objects.length === 0) return { ok: false, message: "holds no Kubernetes objects" };
    const once = new Map<string, RawObject>();
    for (const object of objects.map(complete)) {
      const { namespace = "", name } = object.metadata;
      const key = `${object.kind ?? ""} ${namespace === "" ? "" : `${namespace}/`}${name}`;
      const before = once.get(key);
      if (before !== undefined && !sameData(before, object))
        return { ok: false, message: `holds ${key} twice, and not the same: dumps of two moments?` };
      once.set(key, object);
    }
    return { ok: true, value: new DumpServer([...once.values()]) };
  }

  async request<T>(request: ApiRequest): Promise<ApiOutcome<T>> {
    await Promise.resolve();
    if (request.method !== "GET") return refused("denied", 403, "a dump cannot be changed");
    const match = PATH.exec(request.path);
    if (match === null) return refused("notFound", 404, `a dump has nothing at ${request.path}`);
    const [, group = "", namespace, plural = "", name] = match;
    const found = this.objects.filter(
      (object) =>
        groupOf(object) === group &&
        pluralOf(object.kind ?? "") === plural &&
        (namespace === undefined || object.metadata.namespace === namespace),
    );
    if (name === undefined) return this.#list<T>(request, found);
    const [one] = found.filter((object) => object.metadata.name === name);
    return one === undefined
      ? refused("notFound", 404, `${plural} "${name}" is not in the dump`)
      : { ok: true, status: 200, value: one as T };
  }

  async stream(): Promise<ApiOutcome<ApiStream>> {
    return refused("unexpected", undefined, "a dump cannot be watched");
  }

  redial(): void {}

  async close(): Promise<void> {}

  #list<T>({ query = {} }: ApiRequest, found: readonly RawObject[]): ApiOutcome<T> {
    const selector = parseSelector(String(query["labelSelector"] ?? ""));
    if (!selector.ok) return refused("invalid", 400, selector.message);
    const fields = String(query["fieldSelector"] ?? "")
      .split(",")
      .filter((part) => part !== "");
    const items = found.filter(
      (object) =>
        selectorMatches(selector.value, object.metadata.labels ?? {}) &&
        fields.every((part) => fieldMatches(object, part)),
    );
    const value = { kind: "List", metadata: { resourceVersion: LIST_VERSION }, items };
    return { ok: true, status: 200, value: value as T };
  }
}

function refused(kind: ApiFailureKind, status: number | undefined, message: string): ApiOutcome<never> {
  return { ok: false, kind, status, message };
}

function collect(value: unknown, into: RawObject[]): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value !== "object")
    return `holds text where a Kubernetes object should be (${JSON.stringify(value).slice(0, 40)}); a dump is what kubectl get -o yaml prints`;
  const { kind, items, metadata } = value as {
    readonly kind?: unknown;
    readonly items?: unknown;
    readonly metadata?: { readonly name?: unknown };
  };
  if (Array.isArray(items)) {
    // kubectl writes it behind the items, and YAML that ends too early is still YAML.
    if (typeof kind !== "string") return "holds a list of items without its kind: it was cut off";
    for (const item of items) {
      const problem = collect(item, into);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }
  if (typeof kind !== "string" || typeof metadata?.name !== "string")
    return "holds an object without kind or metadata.name";
  into.push(value as RawObject);
  return undefined;
}

/** What a hand-written object leaves out and every stored one has. */
function complete(object: RawObject): RawObject {
  const kind = object.kind ?? "";
  const namespace = object.metadata.namespace ?? (CLUSTER_SCOPED.includes(kind) ? undefined : "default");
  const defaults = {
    uid: `${kind}/${namespace ?? ""}/${object.metadata.name}`,
    resourceVersion: LIST_VERSION,
    generation: 1,
    creationTimestamp: "1970-01-01T00:00:00Z",
  };
  return {
    ...object,
    metadata: { ...defaults, ...object.metadata, ...(namespace === undefined ? {} : { namespace }) },
  };
}

function groupOf({ apiVersion = "v1" }: RawObject): string {
  const slash = apiVersion.indexOf("/");
  return slash < 0 ? "" : apiVersion.slice(0, slash);
}

/** Kubernetes' own convention for the plurals of kinds. */
function pluralOf(kind: string): string {
  const lower = kind.toLowerCase();
  if (lower.endsWith("y") && !/[aeiou]y$/.test(lower)) return `${lower.slice(0, -1)}ies`;
  return /(s|x|ch)$/.test(lower) ? `${lower}es` : `${lower}s`;
}

/** `metadata.name=node-1`, `involvedObject.kind!=Pod`. */
function fieldMatches(object: RawObject, part: string): boolean {
  const [, path = "", sign, wanted = ""] = /^([^=!]+)(!?==?)(.*)$/.exec(part) ?? [];
  let value: unknown = object;
  for (const step of path.split(".")) value = (value as Record<string, unknown> | undefined)?.[step];
  return (sign === "!=") !== ((typeof value === "string" ? value : "") === wanted);
}

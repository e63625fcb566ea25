// Objects as an API server keeps them: versions, UIDs, preconditions, finalizers, status apart from the rest. Knows no
// schemas, admission or watches.
import { isDeepStrictEqual } from "node:util";

export interface FakeMetadata {
  name: string;
  namespace?: string;
  uid: string;
  resourceVersion: string;
  generation: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  deletionTimestamp?: string;
  [field: string]: unknown;
}

export interface FakeObject {
  metadata: FakeMetadata;
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
  [field: string]: unknown;
}

/** What the server answers: an object, or a Status with its reason. */
export interface FakeAnswer {
  readonly status: number;
  readonly body: unknown;
}

type Json = Record<string, unknown>;

const CREATED_AT = "2026-11-22T00:00:00Z";

export function refusal(status: number, reason: string, message: string): FakeAnswer {
  return { status, body: { kind: "Status", status: "Failure", code: status, reason, message } };
}

/**
 * Guarantees: a write whose resourceVersion or UID is not the standing one answers 409 and changes nothing; a write that
 * changes nothing keeps the resourceVersion; /status writes touch the status alone and others never do.
 * Caveat: server-side apply replaces `spec` or `status` whole and merges metadata, as with a single field manager.
 */
export class FakeObjects {
  readonly #objects = new Map<string, FakeObject>();
  readonly #served = new Set<string>();
  #version = 100;
  #uids = 0;

  /** Puts an object there as it is, with a version and, unless it brings one, a UID. */
  seed(path: string, object: object): FakeObject {
    const given = structuredClone(object) as Json;
    const metadata: FakeMetadata = {
      name: path.slice(path.lastIndexOf("/") + 1),
      generation: 1,
      uid: this.#nextUID(),
      creationTimestamp: CREATED_AT,
      ...(given["metadata"] as Partial<FakeMetadata> | undefined),
      resourceVersion: this.#nextVersion(),
    };
    const stored: FakeObject = { ...given, metadata };
    this.#objects.set(path, stored);
    return structuredClone(stored);
  }

  /** A copy of what stands, or undefined. */
  peek(path: string): FakeObject | undefined {
    return structuredClone(this.#objects.get(path));
  }

  /** Somebody else writes: `change` gets the standing object, and the version moves on. */
  change(path: string, change: (object: FakeObject) => void): FakeObject {
    const object = this.#objects.get(path);
    if (object === undefined) throw new Error(`nothing at ${path} to change`);
    change(object);
    object.metadata.resourceVersion = this.#nextVersion();
    return structuredClone(object);
  }

  drop(path: string): void {
    this.#objects.delete(path);
  }

  /** Paths under a collection, in the order of creation. */
  list(collection: string): readonly string[] {
    return [...this.#objects.keys()].filter((path) => path.slice(0, path.lastIndexOf("/")) === collection);
  }

  /** From now on GET of that collection answers a list. */
  serve(collection: string): void {
    this.#served.add(collection);
  }

  /** What GET of a served collection answers: all of it, or what has that label (`key=value`). */
  items(collection: string, labelSelector: string | undefined): FakeAnswer | undefined {
    if (!this.#served.has(collection)) return undefined;
    const [key = "", value] = (labelSelector ?? "").split("=");
    const items = this.list(collection)
      .map((path) => this.peek(path))
      .filter((object) => key === "" || object?.metadata.labels?.[key] === value);
    return { status: 200, body: { kind: "List", items } };
  }

  get(path: string): FakeAnswer {
    const object = this.#objects.get(path);
    return object === undefined ? notFound(path) : { status: 200, body: structuredClone(object) };
  }

  create(collection: string, object: Json): FakeAnswer {
    const metadata = (object["metadata"] ?? {}) as Json;
    const path = `${collection}/${String(metadata["name"])}`;
    if (this.#objects.has(path)) return refusal(409, "AlreadyExists", `${path} already exists`);
    // A new object's status is dropped, as with every kind that has the status subresource.
    const { status: _status, ...rest } = object;
    return { status: 201, body: this.seed(path, rest) };
  }

  apply(path: string, patch: Json, subresource: "status" | undefined): FakeAnswer {
    const standing = this.#objects.get(path);
    if (standing === undefined) {
      if (subresource !== undefined) return notFound(path);
      return { status: 201, body: this.seed(path, patch) };
    }
    if (subresource === "status") return this.#write(path, patch, { status: patch["status"] });
    const { labels, annotations, ownerReferences } = (patch["metadata"] ?? {}) as Json;
    return this.#write(path, patch, {
      spec: patch["spec"],
      metadata: merged(standing.metadata, { labels, annotations, ownerReferences }),
    });
  }

  merge(path: string, patch: Json, subresource: "status" | undefined): FakeAnswer {
    const standing = this.#objects.get(path);
    if (standing === undefined) return notFound(path);
    const next = merged(standing, patch) as FakeObject;
    const { uid, resourceVersion } = standing.metadata;
    next.metadata = { ...next.metadata, uid, resourceVersion };
    return this.#write(
      path,
      patch,
      subresource === "status" ? { status: next.status } : { ...next, status: standing.status },
    );
  }

  remove(path: string, options: Json): FakeAnswer {
    const object = this.#objects.get(path);
    if (object === undefined) return notFound(path);
    const preconditions = (options["preconditions"] ?? {}) as Json;
    const conflict = conflictOf(path, object, preconditions);
    if (conflict !== undefined) return conflict;
    if ((object.metadata.finalizers ?? []).length > 0) {
      return { status: 200, body: this.change(path, (held) => (held.metadata.deletionTimestamp = "now")) };
    }
    this.#objects.delete(path);
    return { status: 200, body: structuredClone(object) };
  }

  #write(path: string, patch: Json, change: Json): FakeAnswer {
    const standing = this.#objects.get(path);
    if (standing === undefined) return notFound(path);
    const conflict = conflictOf(path, standing, (patch["metadata"] ?? {}) as Json);
    if (conflict !== undefined) return conflict;
    const next = withoutUndefined({ ...standing, ...change }) as FakeObject;
    if (!isDeepStrictEqual(next, standing)) {
      const generation = standing.metadata.generation + (isDeepStrictEqual(next.spec, standing.spec) ? 0 : 1);
      next.metadata = { ...next.metadata, generation, resourceVersion: this.#nextVersion() };
      this.#objects.set(path, next);
    }
    return { status: 200, body: structuredClone(next) };
  }

  #nextVersion(): string {
    this.#version += 1;
    return String(this.#version);
  }

  #nextUID(): string {
    this.#uids += 1;
    return `uid-${this.#uids}`;
  }
}

function notFound(path: string): FakeAnswer {
  return refusal(404, "NotFound", `${path} not found`);
}

function conflictOf(path: string, standing: FakeObject, wanted: Json): FakeAnswer | undefined {
  const { uid, resourceVersion } = standing.metadata;
  if (wanted["uid"] !== undefined && wanted["uid"] !== uid) {
    return refusal(
      409,
      "Conflict",
      `Precondition failed: UID in precondition: ${JSON.stringify(wanted["uid"])}, UID in object meta: ${uid}`,
    );
  }
  if (wanted["resourceVersion"] !== undefined && wanted["resourceVersion"] !== resourceVersion) {
    return refusal(409, "Conflict", `Operation cannot be fulfilled on ${path}: the object has been modified`);
  }
  return undefined;
}

/** RFC 7386: objects merge, null deletes, everything else replaces. */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const result: Json = typeof target === "object" && target !== null ? { ...(target as Json) } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (value !== undefined) result[key] = merged(result[key], value);
  }
  return result;
}

function withoutUndefined(object: Json): Json {
  return JSON.parse(JSON.stringify(object)) as Json;
}

// The simulated API server: what a request does to the store and what it answers. Knows no networks, delays or faults;
// those are the connections'.
import { samePlain } from "../../../lab/plain-data.ts";
import type { ApiRequest } from "../../../src/kube/transport.ts";
import type { Chance } from "../world/random.ts";
import { isReviewed, reviewed, type VirtApiPorts } from "./admission.ts";
import { deleted } from "./deletion.ts";
import { conflictWith, onlyItsPart, otherUID, secondsOf, withData, withPodDefaults } from "./object-shape.ts";
import { frozen, type Json, jsonPatched, type JsonObject, mergePatched, objectIn, textOf } from "./json.ts";
import { discovered, type Resource, resourceNamed, type Target, targetOf } from "./resources.ts";
import { afterUpdate, apply, firstApplied, sameApplied } from "./server-side-apply.ts";
import { performVerb, verbOf } from "./kubevirt-verbs.ts";
import { listed } from "./listing.ts";
import { Store } from "./store.ts";
import { type Answer, conflict, type Entry, failure, notFound, type StoredObject } from "./stored.ts";
import { validated } from "./validation.ts";

export interface ServerOptions {
  readonly chance: Chance;
  /** The server's wall clock. */
  readonly wallMs: () => number;
}

/** Answers in the server's place: quota refusals and the like; undefined lets it go on. */
export type Interception = (request: ApiRequest, user: string) => Answer | undefined;

/** How often a patch without a resourceVersion is tried on a newer object (kube-apiserver's MaxRetryWhenPatchConflicts). */
const MAX_PATCH_TRIES = 5;
const RANDOM_NAME_CHARS = 5;

/** How the object a write is about comes to be from what stands. */
type Rewrite = (entry: Entry) => { readonly value: JsonObject; readonly applied?: Entry["applied"] } | Answer;

interface Write {
  readonly target: Target;
  readonly user: string;
  readonly rewrite: Rewrite;
  /** A conflict found late is tried again on the newer object. */
  readonly retries: boolean;
}

export class SimApiServer {
  readonly store = new Store();
  readonly #options: ServerOptions;
  #virtApi: VirtApiPorts | undefined;
  readonly interceptions = new Set<Interception>();

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  /** From now on KubeVirt's webhooks and verbs are served. */
  serveVirtApi(ports: VirtApiPorts): void {
    this.#virtApi = ports;
  }

  /** Answers one request of `user`; only webhooks make it wait. */
  async handle(request: ApiRequest, user: string): Promise<Answer> {
    for (const intercept of this.interceptions) {
      const instead = intercept(request, user);
      if (instead !== undefined) return instead;
    }
    const verb = verbOf(request.path);
    if (verb !== undefined) return performVerb(verb, request, this.#virtApi);
    const discovery = request.method === "GET" ? discovered(request.path) : undefined;
    if (discovery !== undefined) return { status: 200, body: discovery };
    const target = targetOf(request.path);
    if (target === undefined)
      return failure(404, "NotFound", "the server could not find the requested resource");
    if (target.subresource === "status" && !target.resource.statusSubresource)
      return failure(404, "NotFound", "the server could not find the requested resource");
    switch (request.method) {
      case "GET":
        return target.name === undefined
          ? listed(this.store, target, request)
          : this.#get(target, target.name);
      case "POST":
        return this.#post(target, request, user);
      case "PUT":
        return this.#put(target, request, user);
      case "PATCH":
        return this.#patch(target, request, user);
      case "DELETE":
        return deleted(this.store, target, { request, user, wallMs: this.#options.wallMs() });
    }
  }

  #get({ resource, namespace }: Target, name: string): Answer {
    const entry = this.store.get(resource, namespace, name);
    return entry === undefined ? notFound(resource.plural, name) : { status: 200, body: entry.object };
  }

  async #post(target: Target, request: ApiRequest, user: string): Promise<Answer> {
    const body = frozen(request.body ?? {}) as JsonObject;
    if (target.name !== undefined) return this.#subresource(target, body, user);
    const { resource, namespace } = target;
    const { name, generateName } = objectIn(body, "metadata");
    const given =
      typeof name === "string" && name !== ""
        ? name
        : `${textOf(generateName)}${this.#options.chance.letters(RANDOM_NAME_CHARS)}`;
    if (given === "" || (name === undefined && generateName === undefined))
      return failure(422, "Invalid", `${resource.kind} "" is invalid: metadata.name: Required value`);
    if (objectIn(body, "metadata")["resourceVersion"] !== undefined)
      return failure(500, "InternalError", "resourceVersion should not be set on objects to be created");
    return this.#create({ resource, namespace, name: given, subresource: undefined }, body, { user });
  }

  async #create(
    target: Target & { readonly name: string },
    body: JsonObject,
    { user, applied = new Map() }: { readonly user: string; readonly applied?: Entry["applied"] },
  ): Promise<Answer> {
    const { resource, namespace, name } = target;
    if (resource.namespaced && this.store.get(NAMESPACES, undefined, namespace ?? "") === undefined)
      return failure(404, "NotFound", `namespaces "${namespace}" not found`);
    if (this.store.get(resource, namespace, name) !== undefined)
      return failure(409, "AlreadyExists", `${resource.plural} "${name}" already exists`);
    const given = objectIn(body, "metadata");
    const { status, ...rest } = body;
    const keepsStatus =
      !resource.statusSubresource || resource.kind === "Node" || resource.kind === "VolumeAttachment";
    const whole: JsonObject = {
      ...rest,
      ...(keepsStatus && status !== undefined ? { status } : {}),
      apiVersion: resource.apiVersion,
      kind: resource.kind,
      metadata: {
        ...given,
        name,
        ...(namespace === undefined ? {} : { namespace }),
        uid: this.#options.chance.uuid(),
        resourceVersion: "",
        generation: 1,
        creationTimestamp: secondsOf(this.#options.wallMs()),
      },
    };
    const object =
      resource.kind === "Pod" ? withPodDefaults(whole) : resource.kind === "Secret" ? withData(whole) : whole;
    const admitted = await this.#admit({
      ...target,
      operation: "CREATE",
      user,
      object,
      oldObject: undefined,
    });
    if ("status" in admitted) return admitted;
    if (this.store.get(resource, namespace, name) !== undefined)
      return failure(409, "AlreadyExists", `${resource.plural} "${name}" already exists`);
    return { status: 201, body: this.store.put(resource, admitted.object, { applied, by: user }) };
  }

  async #put(target: Target, request: ApiRequest, user: string): Promise<Answer> {
    const { resource, namespace, name = "" } = target;
    const body = frozen(request.body ?? {}) as JsonObject;
    const version = objectIn(body, "metadata")["resourceVersion"];
    if (
      this.store.get(resource, namespace, name) === undefined &&
      resource.kind === "Lease" &&
      version === undefined
    )
      return this.#create({ ...target, name }, body, { user });
    if ((resource.custom || resource.kind === "Lease") && (version === undefined || version === ""))
      return failure(
        422,
        "Invalid",
        `${resource.plural} "${name}" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update`,
      );
    return this.#write({
      target,
      user,
      retries: false,
      rewrite: ({ object }) => conflictWith(object, body, resource) ?? { value: body },
    });
  }

  async #patch(target: Target, request: ApiRequest, user: string): Promise<Answer> {
    const body = frozen(request.body ?? {});
    const { resource } = target;
    if (request.contentType === "application/apply-patch+yaml")
      return this.#apply(target, { patch: body as JsonObject, query: request.query ?? {}, user });
    const isJsonPatch = request.contentType === "application/json-patch+json";
    const pinned = !isJsonPatch && objectIn(body, "metadata")["resourceVersion"] !== undefined;
    return this.#write({
      target,
      user,
      retries: !pinned,
      rewrite: ({ object }) => {
        if (isJsonPatch) {
          const patched = jsonPatched(object, body as readonly Json[]);
          return "problem" in patched
            ? failure(422, "Invalid", patched.problem)
            : { value: patched.value as JsonObject };
        }
        return (
          otherUID(object, body, resource) ??
          conflictWith(object, body, resource) ?? { value: mergePatched(object, body) as JsonObject }
        );
      },
    });
  }

  async #apply(
    target: Target,
    { patch, query, user }: { patch: JsonObject; query: NonNullable<ApiRequest["query"]>; user: string },
  ): Promise<Answer> {
    const { resource, namespace, name = "", subresource = "" } = target;
    const manager = `${String(query["fieldManager"])} ${subresource}`;
    const force = query["force"] === true || query["force"] === "true";
    const { uid, resourceVersion } = objectIn(patch, "metadata");
    if (this.store.get(resource, namespace, name) === undefined) {
      if (subresource !== "") return notFound(resource.plural, name);
      if (uid !== undefined)
        return conflict(
          resource.plural,
          name,
          `uid mismatch: the provided object specified uid ${textOf(uid)}, and no existing object was found`,
        );
      if (resourceVersion !== undefined) return notFound(resource.plural, name);
      const applied = firstApplied(resource.kind, patch, manager);
      return this.#create({ ...target, name }, patch, { user, applied });
    }
    return this.#write({
      target,
      user,
      retries: resourceVersion === undefined,
      rewrite: (entry) => {
        const conflicting =
          otherUID(entry.object, patch, resource) ?? conflictWith(entry.object, patch, resource);
        if (conflicting !== undefined) return conflicting;
        const result = apply(entry, patch, { manager, force });
        if (!("conflictsWith" in result)) return result;
        return failure(
          409,
          "Conflict",
          `Apply failed with 1 conflict: conflict with "${result.conflictsWith.split(" ")[0]}"`,
        );
      },
    });
  }

  /** Read, change, check, admit, and write if nobody was faster. */
  async #write({ target, user, rewrite, retries }: Write): Promise<Answer> {
    const { resource, namespace, name = "", subresource } = target;
    for (let tries = 0; ; tries += 1) {
      const entry = this.store.get(resource, namespace, name);
      if (entry === undefined) return notFound(resource.plural, name);
      const wanted = rewrite(entry);
      if (!("value" in wanted)) return wanted;
      const next = onlyItsPart(entry.object, wanted.value, target);
      const admitted = await this.#admit({
        ...target,
        operation: "UPDATE",
        user,
        object: next,
        oldObject: entry.object,
      });
      if ("status" in admitted) return admitted;
      const standing = this.store.get(resource, namespace, name);
      if (standing?.object !== entry.object) {
        if (retries && tries < MAX_PATCH_TRIES) continue;
        return conflict(
          resource.plural,
          name,
          "the object has been modified; please apply your changes to the latest version and try again",
        );
      }
      const applied = wanted.applied ?? afterUpdate(entry, admitted.object);
      return this.#commit({
        target: { resource, namespace, name, subresource },
        entry,
        next: admitted.object,
        applied,
        user,
      });
    }
  }

  #commit(parts: {
    target: Target;
    entry: Entry;
    next: JsonObject;
    applied: Entry["applied"];
    user: string;
  }): Answer {
    const { target, entry, next, applied, user } = parts;
    const { resource } = target;
    const { object } = entry;
    if (samePlain(next, object)) {
      if (!sameApplied(applied, entry.applied))
        return { status: 200, body: this.store.put(resource, next, { applied, by: user }) };
      return { status: 200, body: object };
    }
    const isSpecChanged = !samePlain(next["spec"], object["spec"]);
    const generation = Number(object.metadata["generation"] ?? 1) + (isSpecChanged ? 1 : 0);
    const value = { ...next, metadata: { ...objectIn(next, "metadata"), generation } };
    const stored = this.store.put(resource, value, { applied, by: user });
    const { deletionTimestamp, finalizers, deletionGracePeriodSeconds } = stored.metadata;
    const isHeld = Array.isArray(finalizers) && finalizers.length > 0;
    if (deletionTimestamp !== undefined && !isHeld && Number(deletionGracePeriodSeconds ?? 0) === 0)
      this.store.remove(resource, stored, user);
    return { status: 200, body: stored };
  }

  async #admit(review: {
    readonly resource: Resource;
    readonly namespace: string | undefined;
    readonly subresource: string | undefined;
    readonly operation: "CREATE" | "UPDATE";
    readonly user: string;
    readonly object: JsonObject;
    readonly oldObject: StoredObject | undefined;
  }): Promise<{ readonly object: JsonObject } | Answer> {
    let { object } = review;
    if (this.#virtApi !== undefined && isReviewed(review)) {
      const passed = await reviewed(review, this.#virtApi);
      if ("refusal" in passed) return passed.refusal;
      ({ object } = passed);
    }
    const checked = validated(review.resource, object, review.oldObject);
    return "problem" in checked ? failure(422, "Invalid", checked.problem) : { object: checked.value };
  }

  async #subresource(target: Target, body: JsonObject, user: string): Promise<Answer> {
    const { resource, namespace, name = "", subresource } = target;
    if (resource.kind !== "Pod")
      return failure(404, "NotFound", "the server could not find the requested resource");
    if (subresource === "binding") {
      const nodeName = objectIn(body, "target")["name"] ?? "";
      const bound = await this.#write({
        target: { ...target, subresource: undefined },
        user,
        retries: true,
        rewrite: ({ object }) =>
          objectIn(object, "spec")["nodeName"] === undefined
            ? { value: { ...object, spec: { ...objectIn(object, "spec"), nodeName } } }
            : conflict("pods/binding", name, `pod ${name} is already assigned to node`),
      });
      return bound.status === 200 ? { status: 201, body: { kind: "Status", status: "Success" } } : bound;
    }
    if (subresource !== "eviction")
      return failure(404, "NotFound", "the server could not find the requested resource");
    const review = { resource, namespace, subresource, operation: "CREATE", user } as const;
    if (this.#virtApi !== undefined && isReviewed(review)) {
      const passed = await reviewed({ ...review, object: body, oldObject: undefined }, this.#virtApi);
      if ("refusal" in passed) return passed.refusal;
    }
    const request: ApiRequest = { method: "DELETE", path: "", body: {} };
    return deleted(
      this.store,
      { ...target, subresource: undefined },
      { request, user, wallMs: this.#options.wallMs() },
    );
  }
}

const NAMESPACES = resourceNamed("v1/namespaces");

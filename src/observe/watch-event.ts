// Reads what lists and watches carry around an object: its identity, its resourceVersion, the kind of event.
// Knows nothing of what the object means.
import { objectKey } from "./object-key.ts";

/** What the reflector itself must know of an object. */
export interface ObjectIdentity {
  /** `namespace/name`, or `name` for cluster-scoped objects. */
  readonly key: string;
  readonly resourceVersion: string;
  /** Names one life of the object: a recreated one has another UID. */
  readonly uid: string;
}

/** One line of a watch. `failure` is an in-stream ERROR; `unreadable` is anything that is not a watch event. */
export type WatchLine =
  | { readonly kind: "changed" | "deleted"; readonly raw: unknown }
  | { readonly kind: "bookmark"; readonly resourceVersion: string }
  | {
      readonly kind: "failure" | "unreadable";
      readonly code: number | undefined;
      readonly message: string;
    };

/** One page of a list. */
export interface ListPage {
  readonly items: readonly unknown[];
  /** The state of the collection that every page of this list shows. */
  readonly resourceVersion: string;
  readonly continueToken: string | undefined;
}

/** The identity of a raw object, or undefined where its metadata is malformed. */
export function identityOf(raw: unknown): ObjectIdentity | undefined {
  const metadata = recordIn(raw, "metadata");
  const name = textIn(metadata, "name");
  const resourceVersion = textIn(metadata, "resourceVersion");
  const uid = textIn(metadata, "uid");
  if (name === undefined || resourceVersion === undefined || uid === undefined) return undefined;
  const namespace = textIn(metadata, "namespace");
  return { key: objectKey(namespace, name), resourceVersion, uid };
}

/** Reads one parsed line of a watch; total, since a server may send anything. */
export function readWatchLine(line: unknown): WatchLine {
  const type = textIn(line, "type");
  const raw = recordIn(line, "object");
  switch (type) {
    case "ADDED":
    case "MODIFIED":
      return { kind: "changed", raw };
    case "DELETED":
      return { kind: "deleted", raw };
    case "BOOKMARK": {
      const resourceVersion = textIn(recordIn(raw, "metadata"), "resourceVersion");
      return resourceVersion === undefined
        ? { kind: "unreadable", code: undefined, message: "a bookmark without a resourceVersion" }
        : { kind: "bookmark", resourceVersion };
    }
    case "ERROR": {
      const code = raw?.["code"];
      return {
        kind: "failure",
        code: typeof code === "number" ? code : undefined,
        message: textIn(raw, "message") ?? "the server ended the watch with an error",
      };
    }
    default:
      return {
        kind: "unreadable",
        code: undefined,
        message: `a watch event of type ${JSON.stringify(type)}`,
      };
  }
}

/** Reads the answer to a list, or undefined where it is not a list. */
export function readListPage(value: unknown): ListPage | undefined {
  const metadata = recordIn(value, "metadata");
  const resourceVersion = textIn(metadata, "resourceVersion");
  const items = isRecord(value) ? value["items"] : undefined;
  // Go can write an empty list as null. Missing altogether is something else: it must not look like "all deleted".
  const list: unknown = items === null ? [] : items;
  if (resourceVersion === undefined || !Array.isArray(list)) return undefined;
  return { items: list, resourceVersion, continueToken: textIn(metadata, "continue") };
}

/**
 * Orders two resourceVersions: negative where `left` is older. Kubernetes >= 1.35 defines them as decimal integers, of
 * any length; undefined where one of them is not, as some aggregated API servers still do.
 */
export function compareResourceVersions(left: string, right: string): number | undefined {
  if (left === right) return 0;
  if (!DECIMAL.test(left) || !DECIMAL.test(right)) return undefined;
  if (left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : 1;
}

const DECIMAL = /^(?:0|[1-9]\d*)$/;

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function recordIn(value: unknown, key: string): Readonly<Record<string, unknown>> | undefined {
  if (!isRecord(value)) return undefined;
  const inner = value[key];
  return isRecord(inner) ? inner : undefined;
}

function textIn(value: unknown, key: string): string | undefined {
  if (!isRecord(value)) return undefined;
  const text = value[key];
  return typeof text === "string" && text !== "" ? text : undefined;
}

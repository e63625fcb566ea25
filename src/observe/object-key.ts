// How objects are named in facts, stores and indexes: one string for each, whoever makes it.
import { Interner } from "./interner.ts";

const keys = new Interner();

/** `namespace/name`, or the name alone for cluster-scoped objects; the same string object every time. */
export function objectKey(namespace: string | undefined, name: string): string {
  return keys.intern(namespace === undefined ? name : `${namespace}/${name}`);
}

/** A namespace's or node's name as one string object. */
export function sharedName(name: string): string {
  return keys.intern(name);
}

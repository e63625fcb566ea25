// Label and field selectors, as far as anybody in the simulation asks with them.
import { type JsonObject, objectIn, textOf } from "./json.ts";
import type { StoredObject } from "./stored.ts";

export type Matches = (object: StoredObject) => boolean;

/** Errors: throws on a selector that it does not understand, which is a gap in the simulation. */
export function selectorOf(query: Readonly<Record<string, unknown>>): Matches | undefined {
  const label = textOf(query["labelSelector"]);
  const field = textOf(query["fieldSelector"]);
  if (label === "" && field === "") return undefined;
  const terms = [...termsOf(label).map(labelTerm), ...termsOf(field).map(fieldTerm)];
  return (object) => terms.every((term) => term(object));
}

/** Splits at commas outside of parentheses. */
function termsOf(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((term) => term.trim())
    .filter((term) => term !== "");
}

function labelTerm(term: string): Matches {
  const set = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(term);
  if (set) {
    const [, key = "", operator, list = ""] = set;
    const values = new Set(list.split(",").map((value) => value.trim()));
    return (object) => {
      const value = labelsOf(object)[key];
      const isIn = typeof value === "string" && values.has(value);
      return operator === "in" ? isIn : !isIn;
    };
  }
  const equal = /^([^=!\s]+)\s*(==?|!=)\s*(\S*)$/.exec(term);
  if (equal) {
    const [, key = "", operator, wanted = ""] = equal;
    return (object) => (labelsOf(object)[key] === wanted) === (operator !== "!=");
  }
  if (/^![^=\s]+$/.test(term)) return (object) => !(term.slice(1) in labelsOf(object));
  if (/^[^=!\s]+$/.test(term)) return (object) => term in labelsOf(object);
  throw new Error(`the simulated API server does not understand the label selector ${term}`);
}

function fieldTerm(term: string): Matches {
  const [, path = "", operator, wanted = ""] = /^([\w.]+)(==?|!=)(.*)$/.exec(term) ?? [];
  if (path === "") throw new Error(`the simulated API server does not understand the field selector ${term}`);
  const steps = path.split(".");
  return (object) => {
    let value: unknown = object;
    for (const step of steps) value = (value as JsonObject | undefined)?.[step];
    return (textOf(value ?? "") === wanted) === (operator !== "!=");
  };
}

function labelsOf(object: StoredObject): JsonObject {
  return objectIn(object.metadata, "labels");
}

// Lists as Kubernetes merges them: keyed lists, whose entries are owned one by one, and atomic ones.
import { z } from "zod";

/** Entries known by the values of `keys`, each combination at most once; server-side apply merges entry by entry. */
export function keyedList<Item extends z.ZodObject>(
  item: Item,
  options: { readonly keys: readonly string[]; readonly min?: number; readonly max: number },
) {
  const { keys, min = 0, max } = options;
  return z
    .array(item)
    .min(min)
    .max(max)
    .refine((entries) => new Set(entries.map((entry) => keyOf(entry, keys))).size === entries.length, {
      message: `Duplicate value: each ${keys.join(", ")} may stand once only`,
    })
    .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys });
}

/** A list that is replaced as a whole. */
export function atomicList<Item extends z.ZodType>(item: Item, options: { readonly max: number }) {
  return z.array(item).max(options.max).meta({ "x-kubernetes-list-type": "atomic" });
}

function keyOf(entry: unknown, keys: readonly string[]): string {
  const fields = entry as Readonly<Record<string, unknown>>;
  return JSON.stringify(keys.map((key) => fields[key]));
}

// The small values that both files of a scenario are made of.
import { z } from "zod";
import { parseDuration } from "../../../src/config/duration.ts";

/** Name of a node, VM or replica, as Kubernetes has them. */
export const name = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/, "must be a name of lower-case letters, digits, - and .");

export const labels = z.record(z.string(), z.string());

/** `90s`, `1m30s`, `2h`; milliseconds inside. */
export const durationMs = z.union([z.string(), z.number()]).transform((text, context) => {
  const ms = typeof text === "string" ? parseDuration(text) : undefined;
  if (ms !== undefined || text === 0) return ms ?? 0;
  context.addIssue({ code: "custom", message: `must be a duration like 90s, 5m or 1m30s, and is ${text}` });
  return z.NEVER;
});

/** One name, or several. */
export const names = z
  .union([name, z.array(name).min(1)])
  .transform((one) => (Array.isArray(one) ? one : [one]));

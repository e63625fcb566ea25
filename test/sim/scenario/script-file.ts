// script.yaml: what happens to a scenario's world and when, and what must hold whatever the expectation says.
import { z } from "zod";
import type { ScriptEvent } from "../world/world-plan.ts";
import { acts } from "./script-acts.ts";
import { durationMs, name } from "./values.ts";

const SAFETY = ["never two", "release needs proof"] as const;
const ACTS = Object.keys(acts) as (keyof typeof acts)[];

const event = z
  .strictObject({ at: durationMs, for: durationMs.exactOptional(), ...acts })
  .superRefine((written, context) => {
    const said = ACTS.filter((act) => written[act] !== undefined);
    if (said.length !== 1)
      context.addIssue({
        code: "custom",
        message: `must hold exactly one act and holds ${said.length === 0 ? "none" : said.join(", ")}; acts: ${ACTS.join(", ")}`,
      });
  });

/** What must hold in every run; no expectation that is recorded anew can change it. */
const must = z.strictObject({
  /** Nodes that were powered off by us, and no others. */
  cutPowerOf: z.array(name).exactOptional(),
  /** Nodes whose fencing was proven, by whatever, and no others. */
  prove: z.array(name).exactOptional(),
  /** Reasons that must have been given for not acting. */
  refuse: z.array(z.string()).exactOptional(),
  /** Conditions that the status of a VM must have had, with their reason. */
  tell: z
    .array(
      z.strictObject({
        vm: z.string(),
        type: z.enum(["Available", "Protected", "Migratable", "Restartable"]),
        reason: z.string(),
      }),
    )
    .exactOptional(),
  /** The node each VM runs on at the end; `nowhere`, or `somewhere`. */
  run: z.record(z.string(), name).exactOptional(),
  /** VMs that were down for not an instant. */
  stayUp: z.array(z.string()).exactOptional(),
  /** The order in which these were released from a lost node. */
  releaseInOrder: z.array(z.string()).exactOptional(),
  /** The order in which these came up again after the first event. */
  comeUpInOrder: z.array(z.string()).exactOptional(),
  /** At the end every VM runs, every node is clean, every ledger closed. */
  beWell: z.literal(true).exactOptional(),
});

/** The whole of script.yaml. */
export const scriptFile = z.strictObject({
  title: z.string().min(1),
  story: z.string().min(1),
  seed: z.int().default(1),
  events: z.array(event).max(200),
  until: durationMs,
  must: must.default({}),
  /** Promises that this disaster breaks by its nature, and why nobody could keep them. */
  concedes: z
    .strictObject({ checks: z.array(z.enum(SAFETY)).min(1), because: z.string().min(1) })
    .exactOptional(),
});

export type ScriptFile = z.output<typeof scriptFile>;

/** The events of a script, one for each node or VM that it names. */
export function scriptEventsOf({ events }: ScriptFile): ScriptEvent[] {
  return events.flatMap((written) =>
    ACTS.flatMap((kind) => written[kind] ?? []).map((act) => ({
      atMs: written.at,
      ...(written.for === undefined ? {} : { forMs: written.for }),
      act,
    })),
  );
}

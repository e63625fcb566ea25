// Conditions (`metav1.Condition`) in the status of our kinds. How they are judged and set is decide's business.
import { z } from "zod";
import { keyedList } from "./list.ts";
import { count, text } from "./scalar.ts";
import { timestamp } from "./timestamp.ts";

const MAX_CONDITIONS = 16;
// The lengths are metav1's own.
const MAX_TYPE_LENGTH = 316;
const MAX_REASON_LENGTH = 1_024;
const MAX_MESSAGE_LENGTH = 32_768;

const condition = z.object({
  type: z
    .string()
    .max(MAX_TYPE_LENGTH)
    .regex(/^[A-Za-z]([-A-Za-z0-9_./]*[A-Za-z0-9])?$/)
    .meta({ description: "What is being said, as one word in CamelCase." }),
  status: z
    .enum(["True", "False", "Unknown"])
    .meta({ description: "Whether it holds. One of True, False, Unknown." }),
  reason: z
    .string()
    .max(MAX_REASON_LENGTH)
    .regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/)
    .meta({
      description: "Why, as one word in CamelCase that programs may rely on; docs/reasons.md explains each.",
    }),
  message: text(MAX_MESSAGE_LENGTH).meta({
    description: "Why, for people: with the numbers, and with what would change it.",
  }),
  lastTransitionTime: timestamp().meta({ description: "When status last changed." }),
  observedGeneration: count()
    .meta({
      description:
        "The metadata.generation this was said of; a smaller one than the object's is out of date.",
    })
    .exactOptional(),
});

/** The list `status.conditions`, keyed by type; `types` are those that Holdfast sets. */
export function conditions(types: readonly string[]) {
  const named = types.length > 0 ? `: ${types.join(", ")}` : "";
  return keyedList(condition, { keys: ["type"], max: MAX_CONDITIONS }).meta({
    description: `Standing verdicts on this object${named}. kubectl wait --for=condition=… reads them.`,
  });
}

// Kubernetes label selectors and label maps as our objects spell them. Matching is src/model/label-selector.ts.
import { z } from "zod";
import { atomicList } from "./list.ts";
import { celString, withRule } from "./rule.ts";
import { matching } from "./scalar.ts";

const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

/**
 * A label or annotation key without anchors: an optional DNS prefix, then a name. The lengths (253 for the prefix) are
 * left to the API server's own check of the objects that carry the labels.
 */
export const LABEL_KEY = `(${LABEL}(\\.${LABEL})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?`;

const KEY_PATTERN = new RegExp(`^${LABEL_KEY}$`);
const VALUE_PATTERN = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

/** Prefix of 253, a slash, name of 63. */
const MAX_KEY_LENGTH = 317;
const MAX_VALUE_LENGTH = 63;

/** Most label pairs, and most expressions, in one selector. */
const MAX_REQUIREMENTS = 16;
/** Most values of one expression. */
const MAX_VALUES = 64;

const NAME_FORM = "at most 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit";
const KEY_FORM = `an optional DNS prefix and '/', then ${NAME_FORM}`;

function labelValue() {
  return matching(VALUE_PATTERN, {
    maxLength: MAX_VALUE_LENGTH,
    message: `must be a label value: empty, or ${NAME_FORM}`,
  });
}

/** Label pairs that must all be there, as in a nodeSelector; at most `max`. */
export function labelPairs(max: number) {
  const pairs = z
    .record(z.string(), labelValue())
    .refine((labels) => Object.keys(labels).length <= max, { message: `must hold at most ${max} labels` })
    .meta({ maxProperties: max });
  return withRule(pairs, {
    cel: `self.all(key, size(key) <= ${MAX_KEY_LENGTH} && key.matches(${celString(KEY_PATTERN.source)}))`,
    message: `every key must be a label key: ${KEY_FORM}`,
    holds: (labels) =>
      Object.keys(labels).every((key) => key.length <= MAX_KEY_LENGTH && KEY_PATTERN.test(key)),
  });
}

const requirement = withRule(
  z.object({
    key: matching(KEY_PATTERN, {
      maxLength: MAX_KEY_LENGTH,
      message: `must be a label key: ${KEY_FORM}`,
    }).meta({
      description: "The label's key.",
    }),
    operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"]).meta({
      description:
        "How the label must stand to values. In: it has one of them. NotIn: it has none of them, or is missing. Exists and DoesNotExist ask for the key alone.",
    }),
    values: atomicList(labelValue(), { max: MAX_VALUES })
      .meta({
        description: "The values for In and NotIn, at least one. Left out for Exists and DoesNotExist.",
      })
      .exactOptional(),
  }),
  {
    cel: "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
    message: "must hold at least one value with operator In or NotIn, and none with Exists or DoesNotExist",
    holds: ({ operator, values = [] }) => (operator === "In" || operator === "NotIn") === values.length > 0,
    field: ["values"],
  },
);

/** A `metav1.LabelSelector`. An empty one selects everything, as in Kubernetes. */
export function labelSelector() {
  return z
    .object({
      matchLabels: labelPairs(MAX_REQUIREMENTS)
        .meta({ description: "Labels that must all be there with exactly these values." })
        .exactOptional(),
      matchExpressions: atomicList(requirement, { max: MAX_REQUIREMENTS })
        .meta({ description: "Further requirements on labels, all of which must hold." })
        .exactOptional(),
    })
    .meta({ "x-kubernetes-map-type": "atomic" });
}

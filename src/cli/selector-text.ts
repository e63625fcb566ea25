// Label selectors as kubectl takes them with -l: `app=db,tier!=test,zone in (a,b),gpu,!legacy`.
import type { LabelSelector, LabelSelectorRequirement } from "../model/label-selector.ts";
import type { Outcome } from "./cli-world.ts";

const KEY = String.raw`[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?`;
const VALUE = String.raw`[-A-Za-z0-9_.]*`;
const EQUALITY = new RegExp(`^(${KEY})\\s*(==|=|!=)\\s*(${VALUE})$`);
const MEMBERSHIP = new RegExp(`^(${KEY})\\s+(in|notin)\\s+\\(([^()]*)\\)$`);
const EXISTENCE = new RegExp(`^(!?)\\s*(${KEY})$`);

/** Reads a selector; the message of a failure names the part that cannot be read. */
export function parseSelector(text: string): Outcome<LabelSelector> {
  const matchLabels: Record<string, string> = {};
  const matchExpressions: LabelSelectorRequirement[] = [];
  for (const part of partsOf(text)) {
    const requirement = readPart(part);
    if (requirement === undefined) {
      return {
        ok: false,
        message: `the label selector has a part that cannot be read: "${part}"; write key=value, key!=value, key in (a,b), key notin (a,b), key or !key, separated by commas`,
      };
    }
    const [only] = requirement.values ?? [];
    const { key, operator, values } = requirement;
    if (operator === "In" && values?.length === 1 && only !== undefined && !(key in matchLabels))
      matchLabels[key] = only;
    else matchExpressions.push(requirement);
  }
  return {
    ok: true,
    value: {
      ...(Object.keys(matchLabels).length === 0 ? {} : { matchLabels }),
      ...(matchExpressions.length === 0 ? {} : { matchExpressions }),
    },
  };
}

/** Splits at commas that stand outside of parentheses. */
function partsOf(text: string): readonly string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function readPart(part: string): LabelSelectorRequirement | undefined {
  const [, key, sign, value] = EQUALITY.exec(part) ?? [];
  if (key !== undefined && value !== undefined)
    return { key, operator: sign === "!=" ? "NotIn" : "In", values: [value] };
  const [, member, word, list] = MEMBERSHIP.exec(part) ?? [];
  if (member !== undefined) {
    const values = (list ?? "").split(",").map((one) => one.trim());
    return { key: member, operator: word === "in" ? "In" : "NotIn", values };
  }
  const [, not, present] = EXISTENCE.exec(part) ?? [];
  if (present === undefined) return undefined;
  return { key: present, operator: not === "!" ? "DoesNotExist" : "Exists" };
}

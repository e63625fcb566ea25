// Templates such as "https://bmc-${node.name}.example.com": one fencing level written once for many nodes.
import { LABEL_KEY } from "./label-selector.ts";
import { celString, withRule } from "./rule.ts";
import { text } from "./scalar.ts";

const REFERENCE = `\\$\\{node\\.(name|(labels|annotations)\\['${LABEL_KEY}'\\])\\}`;

/** Text in which every "${" begins a reference; a "$" of its own is a letter like any other. */
const TEMPLATE = new RegExp(`^([^$]|\\$+[^\${]|\\$*${REFERENCE})*\\$*$`);

const EACH_REFERENCE = /\$\{node\.(?:(name)|(labels|annotations)\['([^']*)'\])\}/g;

/** What a template may speak of. */
export interface TemplateNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export type Rendering =
  | { readonly ok: true; readonly value: string }
  /** References that this node does not answer, as they stand in the template. */
  | { readonly ok: false; readonly missing: readonly string[] };

/** A template of at most `maxLength` characters, whose references are checked when it is written, not when it is used. */
export function nodeTemplate(maxLength: number) {
  return withRule(text(maxLength), {
    cel: `self.matches(${celString(TEMPLATE.source)})`,
    message:
      "every ${…} must be one of ${node.name}, ${node.labels['key']} and ${node.annotations['key']}, with a valid key",
    holds: (template) => TEMPLATE.test(template),
  });
}

/**
 * The template with the node's own values. An empty value counts as missing: no address is empty. Values are put in as
 * they are, without escaping, so that an annotation may hold "10.0.0.7:8443"; who uses the result parses it as a URL.
 */
export function renderTemplate(template: string, node: TemplateNode): Rendering {
  const missing = new Set<string>();
  const value = template.replaceAll(EACH_REFERENCE, (reference, name, source, key) => {
    const found =
      name === undefined ? ownValue(source === "labels" ? node.labels : node.annotations, key) : node.name;
    if (!found) missing.add(reference);
    return found ?? "";
  });
  return missing.size === 0 ? { ok: true, value } : { ok: false, missing: [...missing] };
}

/** A label may be called "constructor". */
function ownValue(values: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(values, key) ? values[key] : undefined;
}

// What a fence agent says of itself: its parameters and actions. Pure; runs nothing.
import { readElements, type XmlElement } from "./xml-elements.ts";

export interface AgentParameter {
  /** As the agent spells it today. */
  readonly name: string;
  readonly required: boolean;
  readonly type: "string" | "boolean" | "integer" | "second" | "select";
  /** The values that a `select` takes. */
  readonly options: readonly string[];
}

export interface AgentMetadata {
  /** By every name the agent takes, outdated ones included; two names of one parameter lead to one value. */
  readonly parameters: ReadonlyMap<string, AgentParameter>;
  readonly actions: ReadonlySet<string>;
  /** Cuts a machine's way to storage or network, not its power: its Off is no proof that the machine stopped. */
  readonly cutsAccessOnly: boolean;
}

export type MetadataReading =
  | { readonly ok: true; readonly metadata: AgentMetadata }
  | { readonly ok: false; readonly message: string };

const TYPES: ReadonlySet<string> = new Set(["string", "boolean", "integer", "second", "select"]);

/** Reads the XML that an agent prints for the action `metadata`. */
export function readAgentMetadata(xml: string): MetadataReading {
  const reading = readElements(xml);
  if (!reading.ok) return { ok: false, message: `its metadata is not XML: ${reading.message}` };
  const { elements } = reading;
  if (elements[0]?.name !== "resource-agent") {
    return { ok: false, message: `its metadata begins with <${elements[0]?.name}>, not <resource-agent>` };
  }
  const actions = elements.filter((element) => element.name === "action");
  if (actions.length === 0) return { ok: false, message: "its metadata names no action" };
  return {
    ok: true,
    metadata: {
      parameters: parametersOf(elements),
      actions: new Set(actions.map((action) => action.attributes["name"] ?? "")),
      // A device that is switched on by itself when a node joins is one that grants access.
      cutsAccessOnly: actions.some(
        ({ attributes }) => attributes["name"] === "on" && attributes["automatic"] === "1",
      ),
    },
  };
}

/** Agents write a dash and an underscore alike. */
export function parameterKey(name: string): string {
  return name.replaceAll("-", "_");
}

interface WrittenParameter extends AgentParameter {
  /** The outdated name of the same parameter. */
  readonly obsoletes: string | undefined;
}

function parametersOf(elements: readonly XmlElement[]): ReadonlyMap<string, AgentParameter> {
  const written = writtenParameters(elements);
  const byName = new Map<string, AgentParameter>(written.map((one) => [parameterKey(one.name), one]));
  for (const parameter of written) {
    // An outdated name is the same parameter, so that one or the other satisfies what is required.
    if (parameter.obsoletes !== undefined) byName.set(parameterKey(parameter.obsoletes), parameter);
  }
  return byName;
}

function writtenParameters(elements: readonly XmlElement[]): readonly WrittenParameter[] {
  const found: { -readonly [K in keyof WrittenParameter]: WrittenParameter[K] }[] = [];
  for (const { name, attributes } of elements) {
    const current = found.at(-1);
    if (name === "parameter") {
      found.push({
        name: attributes["name"] ?? "",
        required: attributes["required"] === "1",
        type: "string",
        options: [],
        obsoletes: attributes["obsoletes"],
      });
    } else if (name === "content" && current !== undefined) {
      current.type = typeOf(attributes["type"]);
    } else if (name === "option" && current !== undefined) {
      current.options = [...current.options, attributes["value"] ?? ""];
    }
  }
  return found;
}

function typeOf(written: string | undefined): AgentParameter["type"] {
  return written !== undefined && TYPES.has(written) ? (written as AgentParameter["type"]) : "string";
}

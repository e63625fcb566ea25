// Reads the elements of a small XML document, which is what fence agents print about themselves. Knows no vocabulary;
// keeps no text, resolves no entity but XML's own five, and follows nothing outside the document.

export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Names of the elements around it, the outermost first. */
  readonly within: readonly string[];
}

export type XmlReading =
  | { readonly ok: true; readonly elements: readonly XmlElement[] }
  | { readonly ok: false; readonly message: string };

/** Elements of one document that are read; the largest agent's metadata has about a thousand. */
const MAX_ELEMENTS = 20_000;
const MAX_DEPTH = 32;

const NAME = "[A-Za-z_][-\\w.:]*";
const NO_ELEMENT = /<(?:\?[^]*?\?>|!--[^]*?-->|!\[CDATA\[[^]*?\]\]>|!DOCTYPE[^[>]*>)/y;
const TAG = new RegExp(`<(/?)(${NAME})((?:\\s+${NAME}\\s*=\\s*(?:"[^"<]*"|'[^'<]*'))*)\\s*(/?)>`, "y");
const ATTRIBUTE = new RegExp(`(${NAME})\\s*=\\s*(?:"([^"]*)"|'([^']*)')`, "g");

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** All elements in the order in which they open, or where the document is broken. */
export function readElements(text: string): XmlReading {
  const elements: XmlElement[] = [];
  const open: string[] = [];
  for (let at = text.indexOf("<"); at !== -1; at = text.indexOf("<", at)) {
    NO_ELEMENT.lastIndex = at;
    if (NO_ELEMENT.test(text)) {
      at = NO_ELEMENT.lastIndex;
      continue;
    }
    TAG.lastIndex = at;
    const [whole = "", closing, name = "", attributes = "", empty] = TAG.exec(text) ?? [];
    if (whole === "") return broken(`no tag at character ${at}`);
    at += whole.length;
    if (closing === "/") {
      if (open.pop() !== name) return broken(`</${name}> closes what was not opened`);
      continue;
    }
    if (open.length === 0 && elements.length > 0) return broken("more than one outermost element");
    elements.push({ name, attributes: attributesOf(attributes), within: [...open] });
    if (empty !== "/") open.push(name);
    if (elements.length > MAX_ELEMENTS || open.length > MAX_DEPTH) return broken("larger than is read");
  }
  if (open.length > 0) return broken(`<${open.at(-1)}> is not closed`);
  return elements.length === 0 ? broken("no element") : { ok: true, elements };
}

function attributesOf(written: string): Readonly<Record<string, string>> {
  const found = [...written.matchAll(ATTRIBUTE)].map(
    ([, name = "", quoted, apostrophed]) => [name, decoded(quoted ?? apostrophed ?? "")] as const,
  );
  return Object.fromEntries(found);
}

function decoded(value: string): string {
  return value.replaceAll(/&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(\w+));/g, (whole, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code <= 0x10_ff_ff ? String.fromCodePoint(code) : whole;
  });
}

function broken(message: string): XmlReading {
  return { ok: false, message };
}

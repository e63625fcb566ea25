// The addresses by which a node's storage knows it, on record for its boot before it fails: afterwards the storage may
// show those of the node that its VMs have moved to.

/** Annotation of the node that holds the record. */
export const STORAGE_CLIENTS_ANNOTATION = "holdfast.dev/storage-clients";

/** Addresses of one node for one class. */
export const MAX_CLIENT_CIDRS = 16;
/** Classes of one node. */
const MAX_CLASSES = 8;

export interface StorageClients {
  /** The boot whose addresses they are. */
  readonly bootID: string;
  /** RFC 3339. */
  readonly recordedAt: string;
  /** CIDRs of one address each, by NetworkFenceClass. */
  readonly classes: Readonly<Record<string, readonly string[]>>;
}

/** One address and nothing wider: a range may hold other nodes. */
const SINGLE_ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}\/32|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*\/128)$/;

/** The CIDR of one address, whether it was written with its prefix or without; undefined for a range or for nonsense. */
export function singleAddress(written: string): string | undefined {
  const text = written.trim();
  const cidr = text.includes("/") ? text : `${text}/${text.includes(":") ? 128 : 32}`;
  return SINGLE_ADDRESS.test(cidr) ? cidr.toLowerCase() : undefined;
}

/** The record as the annotation holds it; undefined where there is none that can be relied on. */
export function parseStorageClients(annotation: string | undefined): StorageClients | undefined {
  if (annotation === undefined) return undefined;
  const value = jsonOf(annotation);
  if (typeof value !== "object" || value === null) return undefined;
  const { bootID, recordedAt, classes } = value as Readonly<Record<string, unknown>>;
  if (typeof bootID !== "string" || typeof recordedAt !== "string") return undefined;
  if (typeof classes !== "object" || classes === null) return undefined;
  const read: Record<string, readonly string[]> = {};
  for (const [name, cidrs] of Object.entries(classes).slice(0, MAX_CLASSES)) {
    if (!Array.isArray(cidrs) || cidrs.length === 0 || cidrs.length > MAX_CLIENT_CIDRS) return undefined;
    const single = cidrs.map((cidr: unknown) => (typeof cidr === "string" ? singleAddress(cidr) : undefined));
    if (!single.every((cidr) => cidr !== undefined)) return undefined;
    read[name] = [...new Set(single)].sort();
  }
  return { bootID, recordedAt, classes: read };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

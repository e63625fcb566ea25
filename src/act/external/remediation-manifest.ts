// From a remediation template to the remediation of one node, word for word as the contract has it.
import { createHash } from "node:crypto";
import { z } from "zod";
import { API_VERSION } from "../../api/kind.ts";
import type { FencingFact, RemediationTemplateRef } from "../../model/fencing.ts";
import type { FreshNode } from "../fresh-nodes.ts";
import type { Caller, Effect } from "../guarded-request.ts";
import { send } from "../guarded-request.ts";
import { kindPath, type ServedKind } from "./api-kinds.ts";
import type { OwnerMachine } from "./owner-machine.ts";
import { FENCING_LABEL } from "./remediation-list.ts";
import {
  MULTIPLE_TEMPLATES_ANNOTATION,
  NODE_NAME_ANNOTATION,
  TEMPLATE_NAME_ANNOTATION,
} from "./remediation-signal.ts";

const CONTROL_PLANE_LABEL = "remediation.medik8s.io/isControlPlaneNode";
const CONTROL_PLANE_ROLE = "node-role.kubernetes.io/control-plane";
/** As many characters as the API server appends to a generateName. */
const SUFFIX_CHARS = 5;
/** Letters that make no words, as the API server's own names do without vowels. */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";
const MAX_NAME_CHARS = 253;

const templateObject = z.object({
  metadata: z.object({
    name: z.string(),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
  spec: z.object({ template: z.record(z.string(), z.unknown()).optional() }).prefault({}),
});

type Template = z.output<typeof templateObject>;

/** Which fencing, by which level and template, of which node. */
export interface RemediationTarget {
  readonly fencing: FencingFact;
  readonly level: string;
  readonly template: RemediationTemplateRef;
  readonly timeoutMs: number;
  readonly node: FreshNode;
}

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
    readonly ownerReferences: readonly object[];
  };
  readonly spec?: unknown;
}

/** Reads the template as it stands now. */
export async function readTemplate(
  caller: Caller,
  served: ServedKind,
  ref: RemediationTemplateRef,
): Promise<Effect<Template>> {
  const read = await send<unknown>(caller, {
    method: "GET",
    path: kindPath(served, ref.namespace, ref.name),
  });
  const where = `${ref.kind} ${ref.namespace === undefined ? "" : `${ref.namespace}/`}${ref.name}`;
  // A person must make it: trying again would find as little.
  if (!read.ok) return { ...read, message: `${where}: ${read.message}` };
  const parsed = templateObject.safeParse(read.value);
  if (parsed.success) return { ok: true, value: parsed.data };
  return { ok: false, kind: "invalid", status: 200, message: `${where} cannot be read as a template` };
}

/**
 * The remediation of the node. Where the template says that its kind understands the annotations, the name is the node's
 * with five letters behind it, as the contract's generateName makes it, only that ours follow from `suffix`: a name that
 * the server draws could not be made twice by two leaders, and would then be two remediations. Everywhere else the name is
 * the node's, since those kinds know no other way to tell it.
 */
export function manifestOf(
  template: Template,
  target: RemediationTarget & {
    readonly kind: string;
    readonly suffix: string;
    /** For the kinds that need one. */
    readonly machine: OwnerMachine | undefined;
  },
): { readonly ok: true; readonly value: Manifest } | { readonly ok: false; readonly message: string } {
  const { fencing, node, kind, level, suffix, machine, template: ref } = target;
  const body = template.spec.template;
  if (body === undefined) {
    return { ok: false, message: `${ref.kind} ${ref.name} has no spec.template to make a ${kind} from` };
  }
  const several = MULTIPLE_TEMPLATES_ANNOTATION in template.metadata.annotations;
  const prefix = node.name.slice(0, MAX_NAME_CHARS - SUFFIX_CHARS - 1);
  const controlPlane = CONTROL_PLANE_ROLE in node.labels ? { [CONTROL_PLANE_LABEL]: "" } : {};
  const value: Manifest = {
    apiVersion: ref.apiVersion,
    kind,
    metadata: {
      name: several ? `${prefix}-${suffix}` : node.name,
      ...(ref.namespace === undefined ? {} : { namespace: ref.namespace }),
      labels: {
        "app.kubernetes.io/managed-by": "holdfast",
        [FENCING_LABEL]: fencing.uid,
        "holdfast.dev/level": level,
        ...controlPlane,
      },
      annotations: { [NODE_NAME_ANNOTATION]: node.name, [TEMPLATE_NAME_ANNOTATION]: ref.name },
      // Whoever deletes the ledger has it undone as well.
      ownerReferences: [
        {
          apiVersion: API_VERSION,
          kind: "NodeFencing",
          name: fencing.name,
          uid: fencing.uid,
          controller: false,
        },
        ...(machine === undefined ? [] : [machine]),
      ],
    },
    ...("spec" in body ? { spec: body["spec"] } : {}),
  };
  return { ok: true, value };
}

/** Five letters that follow from the ledger, the level, and how many were made under them before. */
export function suffixOf(ledgerUID: string, level: string, earlier: number): string {
  const digest = createHash("sha256").update(`${ledgerUID}/${level}/${earlier}`).digest();
  return [...digest.subarray(0, SUFFIX_CHARS)].map((byte) => ALPHABET[byte % ALPHABET.length]).join("");
}

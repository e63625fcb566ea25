// Nodes as they are now and not as we last heard: what taint and release check before they touch anything.
import { z } from "zod";
import { nodeConditions, readReadiness } from "../api/fencing-readiness.ts";
import type { Clock } from "../model/clock.ts";
import type { LevelReadiness } from "../model/fencing-readiness.ts";
import { type Caller, type Effect, send } from "./guarded-request.ts";
import { nodePath } from "./resource-path.ts";

/** How old a node's reading may be when a release relies on it: one reading serves a whole batch of releases. */
export const NODE_READING_MAX_AGE_MS = 1_000;

const taint = z.looseObject({ key: z.string(), value: z.string().optional(), effect: z.string() });

const node = z.object({
  metadata: z.object({
    name: z.string(),
    uid: z.string(),
    resourceVersion: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
  spec: z
    .object({ taints: z.array(taint).default([]), unschedulable: z.boolean().default(false) })
    .prefault({}),
  status: z
    .object({
      nodeInfo: z.object({ bootID: z.string().optional(), systemUUID: z.string().optional() }).prefault({}),
      conditions: nodeConditions,
    })
    .prefault({}),
});

/** A taint with whatever else it holds: the list is written back whole. */
export type FreshTaint = z.output<typeof taint>;

export interface FreshNode {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly bootID: string | undefined;
  /** SMBIOS UUID as the kubelet reports it. */
  readonly systemUUID: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly taints: readonly FreshTaint[];
  readonly unschedulable: boolean;
  /** What stands on it of each level's readiness. */
  readonly fencing: readonly LevelReadiness[];
}

interface Reading {
  /** When it was asked for: the answer is at least as young. */
  readonly askedAtMs: number;
  readonly node: Promise<Effect<FreshNode>>;
}

/** Reads a Node object as the server returns it; undefined where it is none. */
function parseFreshNode(raw: unknown): FreshNode | undefined {
  const parsed = node.safeParse(raw);
  if (!parsed.success) return undefined;
  const { metadata, spec, status } = parsed.data;
  return {
    name: metadata.name,
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    bootID: status.nodeInfo.bootID || undefined,
    systemUUID: status.nodeInfo.systemUUID || undefined,
    labels: metadata.labels,
    annotations: metadata.annotations,
    taints: spec.taints,
    unschedulable: spec.unschedulable,
    fencing: readReadiness(status.conditions),
  };
}

export class FreshNodes {
  readonly #caller: Caller & { readonly clock: Clock };
  readonly #readings = new Map<string, Reading>();

  constructor(caller: Caller & { readonly clock: Clock }) {
    this.#caller = caller;
  }

  /** The node as a quorum read returns it now. */
  async read(name: string): Promise<Effect<FreshNode>> {
    const outcome = await send<unknown>(this.#caller, { method: "GET", path: nodePath(name) });
    if (!outcome.ok) return outcome;
    const parsed = parseFreshNode(outcome.value);
    if (parsed !== undefined) return { ok: true, value: parsed };
    return {
      ok: false,
      kind: "unexpected",
      status: 200,
      message: `the answer to GET node ${name} is no Node`,
    };
  }

  /** The same, at most `NODE_READING_MAX_AGE_MS` old; callers at the same time share one request. A failure is not kept. */
  readRecent(name: string): Promise<Effect<FreshNode>> {
    const nowMs = this.#caller.clock.now().monotonicMs;
    const known = this.#readings.get(name);
    if (known !== undefined && nowMs - known.askedAtMs <= NODE_READING_MAX_AGE_MS) return known.node;
    const reading = { askedAtMs: nowMs, node: this.read(name) };
    this.#readings.set(name, reading);
    void this.#forgetFailed(name, reading);
    return reading.node;
  }

  /** The reading is out of date: we have just changed the node. */
  forget(name: string): void {
    this.#readings.delete(name);
  }

  async #forgetFailed(name: string, reading: Reading): Promise<void> {
    const outcome = await reading.node;
    if (!outcome.ok && this.#readings.get(name) === reading) this.#readings.delete(name);
  }
}

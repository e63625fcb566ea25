// Keeps checking that every covered, living node could be fenced: at a steady, jittered pace, a few at a time, while we
// lead. Knows when and whom; what a check is, and where its verdict stands, is said beside it.
import type { Cancel } from "../../model/clock.ts";
import type { ReadinessPace } from "../../model/decision-policy.ts";
import { type FencingLevel, isExternal } from "../../model/fencing.ts";
import type { LevelReadiness } from "../../model/fencing-readiness.ts";
import type { NodeFact } from "../../model/node.ts";
import type { ActContext } from "../context.ts";
import type { FreshNode } from "../fresh-nodes.ts";
import { secretsOf } from "../device-access.ts";
import { secondsOf } from "../wall-time.ts";
import { type CheckSource, checkLevel } from "./level-check.ts";
import { NodeVerdicts } from "./node-verdicts.ts";
import { recordReadiness, sameVerdicts } from "./readiness-record.ts";
import type { SecretShelf } from "./secret-shelf.ts";

/** How often it is looked who is due. */
const TICK_MS = 1_000;
/** Pause before a doubtful answer is asked for again, or a verdict that was not taken is written again. */
const AGAIN_MS = 15_000;
/** Longest pause where a node is not ready by every level: whoever repairs it wants to see that it helped. */
const NOT_READY_MS = 60_000;
/** Each pause is longer or shorter by up to this share, so that devices that were asked together drift apart. */
const JITTER = 0.1;

/** One node to be checked: alive, covered, and with no fencing of it open. */
export interface ReadinessTarget {
  readonly node: NodeFact;
  readonly levels: readonly FencingLevel[];
  /** Changes with whatever asks for a check at once: the Node object, its storage addresses, the topology and its generation. */
  readonly rule: string;
  /** Whether the node was surely alive some time after that monotonic moment. */
  readonly livedAfter: (atMs: number) => boolean;
}

export interface ReadinessRoundsOptions extends ReadinessPace {
  readonly targets: () => ReadonlyMap<string, ReadinessTarget>;
  readonly secrets: SecretShelf;
}

/** A level that was checked, for the metrics. */
export interface CheckedLevel {
  readonly node: string;
  readonly level: string;
  /** RFC 3339; undefined where this replica never found it ready. */
  readonly lastReadyAt: string | undefined;
}

interface Entry {
  rule: string;
  levels: readonly FencingLevel[];
  dueMs: number;
  underWay: AbortController | undefined;
  readonly verdicts: NodeVerdicts;
}

/**
 * Guarantees: at most `maxConcurrent` nodes are asked at once, a node never twice at once; nothing is asked of a node that
 * is no target, and what is under way is given up when it ceases to be one; a new leader takes over the standing verdicts
 * and spreads its first checks over one interval.
 */
export class ReadinessRounds {
  readonly #context: ActContext;
  readonly #options: ReadinessRoundsOptions;
  readonly #entries = new Map<string, Entry>();
  #cancelTick: Cancel | undefined;
  #running = 0;

  constructor(context: ActContext, options: ReadinessRoundsOptions) {
    this.#context = context;
    this.#options = options;
  }

  start(): void {
    if (this.#options.intervalMs > 0) this.#tick();
  }

  stop(): void {
    this.#cancelTick?.();
    for (const { underWay } of this.#entries.values()) underWay?.abort();
  }

  /** The Secret was changed: whoever relies on it is checked at once. */
  secretChanged(namespace: string, name: string): void {
    const nowMs = this.#nowMs();
    for (const entry of this.#entries.values()) {
      if (entry.levels.some((level) => this.#reliesOn(level, namespace, name)))
        entry.dueMs = Math.min(entry.dueMs, nowMs);
    }
  }

  #reliesOn(level: FencingLevel, namespace: string, name: string): boolean {
    if (isExternal(level)) return false;
    return secretsOf(level).some(
      (ref) => ref.name === name && (ref.namespace ?? this.#context.namespace) === namespace,
    );
  }

  checked(): readonly CheckedLevel[] {
    return [...this.#entries].flatMap(([node, { levels, verdicts }]) =>
      levels.map(({ name }) => ({ node, level: name, lastReadyAt: verdicts.lastReadyAt(name) })),
    );
  }

  #nowMs(): number {
    return this.#context.clock.now().monotonicMs;
  }

  #tick(): void {
    if (!this.#context.leadership.valid()) return this.stop();
    const targets = this.#options.targets();
    this.#forget(targets);
    const nowMs = this.#nowMs();
    const due: { target: ReadinessTarget; entry: Entry }[] = [];
    for (const target of targets.values()) {
      const entry = this.#entryOf(target, nowMs);
      if (entry.underWay === undefined && entry.dueMs <= nowMs) due.push({ target, entry });
    }
    due.sort((one, other) => one.entry.dueMs - other.entry.dueMs);
    for (const { target, entry } of due.slice(0, Math.max(0, this.#options.maxConcurrent - this.#running)))
      void this.#run(target, entry);
    this.#cancelTick = this.#context.clock.schedule(TICK_MS, () => this.#tick());
  }

  #forget(targets: ReadonlyMap<string, ReadinessTarget>): void {
    for (const [name, entry] of this.#entries) {
      if (targets.has(name)) continue;
      entry.underWay?.abort();
      this.#entries.delete(name);
    }
  }

  #entryOf({ node, levels, rule }: ReadinessTarget, nowMs: number): Entry {
    const known = this.#entries.get(node.name);
    if (known !== undefined) {
      if (known.rule !== rule) Object.assign(known, { rule, levels, dueMs: nowMs });
      return known;
    }
    const stands = levels.every(({ name }) => node.fencing?.some(({ level }) => level === name));
    const pauseMs = this.#pauseMs(node.fencing?.every(({ ready }) => ready) !== false);
    const waitMs = stands ? this.#context.random() * pauseMs : 0;
    const entry = {
      rule,
      levels,
      dueMs: nowMs + waitMs,
      underWay: undefined,
      verdicts: new NodeVerdicts(),
    };
    this.#entries.set(node.name, entry);
    return entry;
  }

  async #run(target: ReadinessTarget, entry: Entry): Promise<void> {
    const underWay = new AbortController();
    const giveUp = () => underWay.abort();
    this.#context.leadership.signal.addEventListener("abort", giveUp, { once: true });
    entry.underWay = underWay;
    entry.dueMs = Number.POSITIVE_INFINITY;
    this.#running += 1;
    const end = await this.#check(target, entry, underWay.signal);
    this.#running -= 1;
    this.#context.leadership.signal.removeEventListener("abort", giveUp);
    entry.underWay = undefined;
    const pauseMs =
      end === "again" ? Math.min(AGAIN_MS, this.#options.intervalMs) : this.#pauseMs(end === "ready");
    const jitter = 1 + JITTER * (2 * this.#context.random() - 1);
    entry.dueMs = Math.min(entry.dueMs, this.#nowMs() + pauseMs * jitter);
  }

  #pauseMs(isReady: boolean): number {
    const { intervalMs } = this.#options;
    return isReady ? intervalMs : Math.min(intervalMs, NOT_READY_MS);
  }

  /** `again`: not every level was judged, or a verdict was not taken. */
  async #check(
    target: ReadinessTarget,
    entry: Entry,
    signal: AbortSignal,
  ): Promise<"ready" | "notReady" | "again"> {
    const { node, levels } = target;
    const verdicts: LevelReadiness[] = [];
    let settled = true;
    const source = this.#source(node);
    for (const level of levels) {
      const standing = node.fencing?.find((one) => one.level === level.name);
      const check = await checkLevel(source, level, { nodeName: node.name, signal });
      if (signal.aborted) return "again";
      const { wallMs, monotonicMs } = this.#context.clock.now();
      const words = { nowMs: monotonicMs, at: secondsOf(wallMs), livedAfter: target.livedAfter };
      const verdict =
        check === undefined ? undefined : entry.verdicts.conclude(level.name, check, { standing, words });
      if (verdict?.kind === "concluded") verdicts.push(verdict.readiness);
      else {
        settled = false;
        if (standing !== undefined) verdicts.push(standing);
      }
    }
    const stands =
      sameVerdicts(node.fencing ?? [], verdicts) ||
      (await recordReadiness(this.#context, node, verdicts)) === "written";
    if (!settled || !stands) return "again";
    return verdicts.every(({ ready }) => ready) ? "ready" : "notReady";
  }

  /** Reads the node from our facts, and Secrets only when they changed: a cluster at rest is not to be polled. */
  #source(node: NodeFact): CheckSource {
    const fresh: FreshNode = {
      name: node.name,
      uid: node.uid,
      resourceVersion: "",
      bootID: node.bootID,
      systemUUID: node.systemUUID,
      labels: node.placement.labels,
      annotations: node.annotations,
      taints: [],
      unschedulable: false,
      fencing: node.fencing ?? [],
    };
    return {
      ...this.#context,
      transport: this.#options.secrets.over(this.#context.transport),
      nodes: { read: async () => ({ ok: true, value: fresh }) as const },
    };
  }
}

// Probes nodes directly, beside the API server: rarely while all is well, quickly while a node is suspect. Knows when to
// ask whom; how one asks is a port.
import type { Cancel, Clock, Random } from "../model/clock.ts";
import type { NodeFact } from "../model/node.ts";
import type { PathProbe } from "../model/probe.ts";
import type { ProbeConnection } from "./probe-connection.ts";

/** Where the address of one network comes from. */
export type AddressSource =
  | { readonly kind: "InternalIP" }
  | { readonly kind: "annotation"; readonly key: string };

export interface ProbeSettings {
  readonly method: "tcp" | "https";
  readonly port: number;
  readonly addresses: readonly AddressSource[];
  /** How often a node is probed while nothing is wrong with it. */
  readonly periodMs: number;
}

export interface NodeProberOptions {
  readonly settings: ProbeSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly probe: ProbeConnection;
  readonly nodes: () => Iterable<NodeFact>;
  /** Some network of a node has begun or ceased to answer. */
  readonly onChange: () => void;
}

/** How often a node that is not healthy is probed, and how long it may take to answer. */
const FAST_PERIOD_MS = 2_000;
const DEADLINE_MS = 2_000;
/** How often it is looked who is due; also the spread of probes in time. */
const TICK_MS = 500;
/** Probes under way at once. A rack that is dead takes its probes' whole deadline. */
const MAX_AT_ONCE = 64;
/** Share by which a period is drawn shorter or longer, so that probes do not gather. */
const JITTER = 0.2;

interface Path {
  readonly address: string;
  probe: PathProbe;
  dueAtMs: number;
  running: boolean;
}

/**
 * Guarantees: no more than `MAX_AT_ONCE` connections; each within its deadline; none outside `start` and `stop`; silence and
 * answers are forgotten with `stop`, since they must be witnessed without a break. That a host is there at an address is not.
 */
export class NodeProber {
  readonly #options: NodeProberOptions;
  #paths = new Map<string, Path[]>();
  /** Addresses of the nodes' networks that have answered since this process began. */
  readonly #present = new Set<string>();
  #attended: ReadonlySet<string> = new Set();
  #running = 0;
  #timer: Cancel | undefined;
  #abort = new AbortController();

  constructor(options: NodeProberOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#timer !== undefined) return;
    this.#abort = new AbortController();
    this.#tick();
  }

  stop(): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#abort.abort();
    this.#paths = new Map();
  }

  /** These nodes are probed quickly, from now on and until said otherwise. */
  attend(nodes: ReadonlySet<string>): void {
    for (const name of nodes) {
      if (this.#attended.has(name)) continue;
      for (const path of this.#paths.get(name) ?? []) path.dueAtMs = Math.min(path.dueAtMs, this.#nowMs());
    }
    this.#attended = nodes;
  }

  /** What is known of a node's networks; undefined where it is not probed. */
  get(node: string): readonly PathProbe[] | undefined {
    return this.#paths.get(node)?.map(({ probe }) => probe);
  }

  #nowMs(): number {
    return this.#options.clock.now().monotonicMs;
  }

  #tick(): void {
    this.#follow();
    const nowMs = this.#nowMs();
    const due: { readonly node: string; readonly path: Path }[] = [];
    for (const [node, paths] of this.#paths)
      for (const path of paths) if (!path.running && path.dueAtMs <= nowMs) due.push({ node, path });
    // Suspect nodes first: of the others a late probe says as much.
    due.sort(
      (a, b) =>
        Number(this.#attended.has(b.node)) - Number(this.#attended.has(a.node)) ||
        a.path.dueAtMs - b.path.dueAtMs,
    );
    for (const { node, path } of due.slice(0, Math.max(0, MAX_AT_ONCE - this.#running)))
      void this.#ask(node, path);
    this.#timer = this.#options.clock.schedule(TICK_MS, () => this.#tick());
  }

  /** Takes over which nodes there are, and at which addresses. A path whose address changed begins anew. */
  #follow(): void {
    const next = new Map<string, Path[]>();
    for (const node of this.#options.nodes()) {
      const known = this.#paths.get(node.name) ?? [];
      const paths: Path[] = [];
      for (const source of this.#options.settings.addresses) {
        const network = source.kind === "InternalIP" ? "InternalIP" : source.key;
        const address = addressOf(node, source);
        if (address === undefined) continue;
        const before = known.find((path) => path.probe.network === network && path.address === address);
        paths.push(before ?? this.#newPath(network, address));
      }
      if (paths.length > 0) next.set(node.name, paths);
    }
    this.#paths = next;
    const current = new Set(
      [...next].flatMap(([node, paths]) => paths.map((path) => presenceOf(node, path))),
    );
    for (const one of this.#present) if (!current.has(one)) this.#present.delete(one);
  }

  #newPath(network: string, address: string): Path {
    const probe = { network, answeredAtMs: undefined, silentSinceMs: undefined, failures: 0 };
    // Spread over one period: a thousand nodes are not probed at once when we begin to lead.
    const dueAtMs =
      this.#nowMs() + this.#options.random() * Math.min(10_000, this.#options.settings.periodMs);
    return { address, probe, dueAtMs, running: false };
  }

  async #ask(node: string, path: Path): Promise<void> {
    const { probe, settings, clock, random, onChange } = this.#options;
    const { signal } = this.#abort;
    path.running = true;
    this.#running += 1;
    const { method, port } = settings;
    const answer = await probe({
      address: path.address,
      port,
      method,
      deadlineMs: DEADLINE_MS,
      signal,
      clock,
    });
    this.#running -= 1;
    path.running = false;
    if (signal.aborted) return;
    const nowMs = this.#nowMs();
    const before = path.probe;
    // Some networks refuse for hosts that are not there; so a refusal is a sign of life only of one that was there.
    const presence = presenceOf(node, path);
    if (answer === "answered") this.#present.add(presence);
    const answered = answer === "answered" || (answer === "refused" && this.#present.has(presence));
    path.probe = answered
      ? { network: before.network, answeredAtMs: nowMs, silentSinceMs: undefined, failures: 0 }
      : { ...before, silentSinceMs: before.silentSinceMs ?? nowMs, failures: before.failures + 1 };
    // One that has failed once is asked again soon: a lost packet is no silence.
    const quick =
      this.#attended.has(node) ||
      (path.probe.failures > 0 && path.probe.failures < 3 && before.answeredAtMs !== undefined);
    const periodMs = quick ? FAST_PERIOD_MS : settings.periodMs * (1 + JITTER * (2 * random() - 1));
    path.dueAtMs = nowMs + periodMs;
    if (answered !== (before.failures === 0) || path.probe.failures === 2) onChange();
  }
}

function presenceOf(node: string, { address, probe }: Path): string {
  return `${node} ${probe.network} ${address}`;
}

function addressOf(node: NodeFact, source: AddressSource): string | undefined {
  const address = source.kind === "InternalIP" ? node.internalIP : node.annotations[source.key]?.trim();
  return address === "" ? undefined : address;
}

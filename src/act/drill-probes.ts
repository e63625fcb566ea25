// The probes of drilled VMs while their runs go: started, looked at, stopped. Of one leadership, and gone with it, so that a
// run never takes another leader's silence for a VM's. Knows no socket.
import type { Clock } from "../model/clock.ts";
import type { DrillProbing, NamedProbe, ProbedVM } from "../model/drill.ts";
import type { ProbeFacts, RunningServiceProbe, StartServiceProbe } from "../model/service-probe.ts";

export interface DrillProbesOptions {
  readonly clock: Clock;
  readonly startProbe: StartServiceProbe;
  /** The VM's address now, from a watch. */
  readonly addressOf: (vmKey: string) => string | undefined;
}

interface Session {
  readonly startedAtMs: number;
  readonly probes: readonly {
    readonly vmKey: string;
    readonly name: string;
    readonly running: RunningServiceProbe;
  }[];
  results: readonly ProbedVM[] | undefined;
}

/** Sessions kept; one drill runs at a time, so the others are over. The oldest goes. */
const MAX_SESSIONS = 4;

/** Probes by the key of the run that they belong to. */
export class DrillProbes {
  readonly #options: DrillProbesOptions;
  readonly #sessions = new Map<string, Session>();
  #ended = false;

  constructor(options: DrillProbesOptions) {
    this.#options = options;
  }

  /** Starts every probe against every VM; false where they run already, or the leadership is over. */
  start(run: string, vmKeys: readonly string[], probes: readonly NamedProbe[]): boolean {
    if (this.#ended || this.#sessions.has(run)) return false;
    const { clock, startProbe, addressOf } = this.#options;
    const startedAtMs = clock.now().monotonicMs;
    const running = vmKeys.flatMap((vmKey) =>
      probes.map(({ name, probe }) => ({
        vmKey,
        name,
        running: startProbe({ probe, address: () => addressOf(vmKey) }),
      })),
    );
    this.#sessions.set(run, { startedAtMs, probes: running, results: undefined });
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > MAX_SESSIONS && oldest !== undefined) this.#sessions.delete(oldest);
    return true;
  }

  /** Stops them and keeps what they came to; false where there are none, or they have been stopped. */
  async stop(run: string): Promise<boolean> {
    const session = this.#sessions.get(run);
    if (session === undefined || session.results !== undefined) return false;
    session.results = await Promise.all(
      session.probes.map(async ({ vmKey, name, running }) => ({ vmKey, name, facts: await running.stop() })),
    );
    return true;
  }

  /** Stops all; whose they were is over. */
  async end(): Promise<void> {
    this.#ended = true;
    await Promise.all([...this.#sessions.keys()].map((run) => this.stop(run)));
  }

  /** How they stand now. */
  get states(): ReadonlyMap<string, DrillProbing> {
    const states = new Map<string, DrillProbing>();
    for (const [run, { startedAtMs, probes, results }] of this.#sessions) {
      const answeredSinceMs =
        results === undefined ? answeredSince(probes.map(({ running }) => running.facts())) : undefined;
      states.set(run, {
        startedAtMs,
        ...(answeredSinceMs === undefined ? {} : { answeredSinceMs }),
        ...(results === undefined ? {} : { results }),
      });
    }
    return states;
  }
}

function answeredSince(all: readonly ProbeFacts[]): number | undefined {
  let sinceMs = Number.NEGATIVE_INFINITY;
  for (const { answered, outages, startedAtMs } of all) {
    if (answered === 0 || outages.some(({ ended }) => !ended)) return undefined;
    sinceMs = Math.max(sinceMs, startedAtMs, ...outages.map(({ endMs }) => startedAtMs + endMs));
  }
  return Number.isFinite(sinceMs) ? sinceMs : undefined;
}

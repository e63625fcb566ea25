// What the observed world is given: the way to the API server, time, and whom it tells.
import type { ApiTransport } from "../kube/transport.ts";
import type { Clock, Random } from "../model/clock.ts";
import type { DrillProbing } from "../model/drill.ts";
import type { FencingAttempt } from "../model/fencing.ts";
import type { OutageRecord } from "../model/protection.ts";
import type { MigrationFact } from "../model/virtual-machine.ts";
import type { ProbeSettings } from "./node-prober.ts";
import type { ProbeConnection } from "./probe-connection.ts";

export interface WorldOptions {
  readonly transport: ApiTransport;
  readonly clock: Clock;
  readonly random: Random;
  /** Something a decision may depend on has changed. Called often; the turn decides when to look. */
  readonly onChange: () => void;
  /** Whether and how nodes are probed directly; left out: not at all. */
  readonly probe?: ProbeSettings;
  /** How a probe is made; the real connection unless said. */
  readonly probeConnection?: ProbeConnection;
  /** A migration that we asked for has just ended. */
  readonly onMigrationEnded?: (migration: MigrationFact) => void;
  /** An attempt to fence a node has just ended. */
  readonly onAttemptEnded?: (attempt: FencingAttempt) => void;
  /** A VM has just come back after the loss of its node. */
  readonly onFailoverEnded?: (outage: OutageRecord) => void;
  /** NodeFencings for which power is just being cut, by whoever does it; none unless said. */
  readonly shooting?: () => ReadonlySet<string>;
  /** What the probes of drilled VMs have found, of whoever runs them; nothing unless said. */
  readonly drillProbings?: () => ReadonlyMap<string, DrillProbing>;
}

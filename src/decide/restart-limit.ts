// How often one VM may be restarted within its window: a VM that takes down node after node must not take down the next.
import type { ProtectionFact } from "../model/protection.ts";
import { seconds, wallMsOf } from "./text.ts";
import type { Turn } from "./turn.ts";

/**
 * What to say where the VM has been restarted as often as it may within its window, else undefined. Asks for a turn when
 * the window will have passed. By wall time, since outages are remembered across replicas.
 */
export function restartLimit(turn: Turn, protection: ProtectionFact): string | undefined {
  const { maxRestarts, restartWindowMs } = protection.failover;
  if (protection.status.outages.length < maxRestarts) return undefined;
  const endsMs = protection.status.outages
    .map((outage) => wallMsOf(outage.lostAt) + restartWindowMs - turn.now.wallMs)
    .filter((leftMs) => leftMs > 0)
    .sort((a, b) => b - a);
  const leftMs = endsMs[maxRestarts - 1];
  if (leftMs === undefined) return undefined;
  turn.plan.lookAgain(turn.now.monotonicMs + leftMs);
  // Says the limit and not the count: a count that falls while nothing changes would be a status to write.
  return `restarted ${maxRestarts} times within ${seconds(restartWindowMs)}, which is its limit: it stays down until the window has passed or failover.maxRestarts is raised`;
}

// A NodeFencing's ledger, and a VM's outages, told as what happened when.
import type { FencingFact } from "../model/fencing.ts";
import type { OutageRecord } from "../model/protection.ts";

export interface StoryLine {
  /** RFC 3339. */
  readonly at: string;
  readonly what: string;
}

/** Everything the ledger says, in the order in which it happened. */
export function ledgerStory(fencing: FencingFact): readonly StoryLine[] {
  const { status } = fencing;
  const lines: StoryLine[] = [
    { at: fencing.lastSeenAt, what: `${fencing.nodeName} last gave a sign of life` },
    { at: fencing.detectedAt, what: `${fencing.name} opened for boot ${fencing.bootID}` },
  ];
  for (const attempt of status.attempts) {
    const which = `attempt ${attempt.number} with ${attempt.level} (${attempt.method})`;
    lines.push({ at: attempt.startedAt, what: `${which} begun` });
    if (attempt.endedAt === undefined) continue;
    const answer = attempt.answer === undefined ? "" : `: ${attempt.answer}`;
    lines.push({ at: attempt.endedAt, what: `${which} ended ${attempt.outcome}${answer}` });
  }
  const add = (at: string | undefined, what: string): void => {
    if (at !== undefined) lines.push({ at, what });
  };
  add(status.proof?.observedAt, `proof ${status.proof?.type ?? ""}: ${status.proof?.detail ?? ""}`);
  for (const vm of status.releasedVMs)
    add(vm.releasedAt, `${vm.namespace}/${vm.name} released (priority ${vm.priority})`);
  add(status.releasedAt, "every VM in our care released");
  add(status.powerOnRequestedAt, "power on asked for");
  add(
    status.returnedAt,
    `node back${status.returnedBootID === undefined ? "" : ` with boot ${status.returnedBootID}`}`,
  );
  return lines
    .map((line, place) => ({ line, place }))
    .sort((a, b) => Date.parse(a.line.at) - Date.parse(b.line.at) || a.place - b.place)
    .map(({ line }) => line);
}

/** Phases of an outage, in their order, in milliseconds; only those that were observed. */
export function outagePhases(
  outage: OutageRecord,
): readonly { readonly phase: string; readonly ms: number }[] {
  const marks: readonly (readonly [phase: string, at: string | undefined])[] = [
    ["detect", outage.lostAt],
    ["fence", outage.provedAt],
    ["release", outage.releasedAt],
    ["schedule", outage.scheduledAt],
    ["boot", outage.runningAt],
    ["ready", outage.readyAt],
  ];
  const phases: { phase: string; ms: number }[] = [];
  let before = Date.parse(outage.lastGoodAt);
  for (const [phase, at] of marks) {
    if (at === undefined) continue;
    const atMs = Date.parse(at);
    phases.push({ phase, ms: Math.max(0, atMs - before) });
    before = Math.max(before, atMs);
  }
  return phases;
}

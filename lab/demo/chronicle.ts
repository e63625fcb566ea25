// Turns changes of objects into lines of the timeline: what Holdfast concluded and did, as the API server shows it.
import type { Migration } from "../cluster/cluster-view.ts";
import type { Fencing, Havm } from "./holdfast-view.ts";
import type { Timeline } from "./timeline.ts";

/** Tells what has changed in a ledger. */
export function tellFencing(timeline: Timeline, now: Fencing, before: Fencing | undefined): void {
  const { nodeName } = now.spec;
  if (before === undefined)
    timeline.tell(
      nodeName,
      `lost: ${now.spec.message ?? ""}; NodeFencing ${now.metadata.name} opened`,
      "bad",
    );
  const attempts = now.status?.attempts ?? [];
  for (const attempt of attempts.slice(Math.max(0, (before?.status?.attempts ?? []).length - 1))) {
    const known = before?.status?.attempts?.find((one) => one.number === attempt.number);
    if (known?.outcome === attempt.outcome) continue;
    const answer = attempt.answer === undefined ? "" : `: ${attempt.answer}`;
    timeline.tell(
      nodeName,
      `fencing attempt ${attempt.number} (${attempt.level}): ${attempt.outcome}${attempt.outcome === "Started" ? "" : answer}`,
    );
  }
  const proof = now.status?.proof;
  if (proof !== undefined && before?.status?.proof === undefined) {
    timeline.tell(nodeName, `PROOF ${proof.type}: ${proof.detail}`, "good");
  }
  const phase = now.status?.phase;
  if (phase === before?.status?.phase || phase === undefined) return;
  if (phase === "Released") timeline.tell(nodeName, "all its VMs in care are released");
  if (phase === "Returned") timeline.tell(nodeName, "back, and trusted with VMs again", "good");
  if (phase === "Aborted") timeline.tell(nodeName, `fencing called off: ${now.status?.message ?? ""}`);
}

/** Tells what has changed in a VM's promise: a failover or evacuation begun, blocked or ended. */
export function tellProtection(timeline: Timeline, now: Havm, before: Havm | undefined): void {
  const { name } = now.metadata;
  const failover = now.status?.failover;
  const was = before?.status?.failover;
  if (failover !== undefined && failover.phase !== was?.phase) {
    timeline.tell(
      name,
      `${failover.phase === "Blocked" ? "down and blocked" : "down"}: ${failover.message ?? ""}`,
      "bad",
    );
  }
  const outage = now.status?.outages?.[0];
  if (outage !== undefined && outage.lostAt !== before?.status?.outages?.[0]?.lostAt) {
    timeline.tell(name, `up again on ${outage.toNode ?? "?"}`, "good");
  }
  const evacuation = now.status?.evacuation;
  if (evacuation?.phase === "Refused" && before?.status?.evacuation?.phase !== "Refused") {
    timeline.tell(name, `stays on ${evacuation.fromNode}: ${evacuation.message ?? ""}`, "bad");
  }
}

/** Tells how a live migration began and ended. */
export function tellMigration(timeline: Timeline, now: Migration, known: Map<string, string>): void {
  const phase = now.status?.phase ?? "";
  const uid = now.metadata.uid ?? "";
  const before = known.get(uid);
  if (before === phase) return;
  known.set(uid, phase);
  const purpose = now.metadata.labels?.["holdfast.dev/purpose"] ?? "migration";
  if (before === undefined)
    timeline.tell(now.spec.vmiName, `${purpose.toLowerCase()}: live migration ${now.metadata.name} created`);
  if (phase === "Succeeded" || phase === "Failed") {
    timeline.tell(
      now.spec.vmiName,
      `${purpose.toLowerCase()}: live migration ${phase}`,
      phase === "Succeeded" ? "good" : "bad",
    );
  }
}

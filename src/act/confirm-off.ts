// Takes a person's word that a node is off as proof, after one last look for a sign of life. Asks no device.
import { type Confirmation } from "../model/confirmation.ts";
import { isClosed } from "../model/fencing.ts";
import type { ConfirmOffStep } from "../model/plan.ts";
import type { RecordedProof } from "../model/proof.ts";
import type { ActContext } from "./context.ts";
import { abandonAttempt, MAX_DETAIL_CHARS } from "./fencing-attempt.ts";
import { ledgerOf, olderThan, writeLedger } from "./fencing-ledger.ts";
import { DONE, ended, outcomeOf, type PerformedStep } from "./outcome.ts";
import { lookPatiently } from "./sign-of-life.ts";
import { timestampOf } from "./wall-time.ts";

/**
 * Guarantees: the proof is written only under the version of the ledger that holds the word (whoever changes or withdraws
 * it meanwhile wins), and only where a fresh look finds no sign of life. A refusal writes nothing: what the look found
 * enters the facts, and the next turn says so.
 */
export async function performConfirmOff(step: ConfirmOffStep, context: ActContext): Promise<PerformedStep> {
  const { fencing, confirmation } = step;
  const before = ledgerOf(fencing);
  const refusal = olderThan(before, context);
  if (refusal !== undefined) return refusal;
  if (isClosed(fencing)) return ended("unchanged", `the ledger is closed: ${fencing.status.phase}`);
  if (fencing.status.proof !== undefined) return ended("unchanged", "a proof stands already");
  if (confirmation.bootID !== fencing.bootID || confirmation.by === "") {
    return ended("refused", `the word is about boot ID ${confirmation.bootID}`);
  }
  const found = await lookPatiently(fencing, context);
  if (found.kind === "stale") return ended("stale", found.why);
  if (found.kind === "alive" || found.kind === "unread") return ended("refused", found.why);
  const at = timestampOf(context.clock.now().wallMs);
  const closed = abandonAttempt(fencing.status, `a person confirmed that it is off`, at);
  const proof = proofOf(confirmation, fencing.nodeName, at);
  const written = await writeLedger(context, before, { ...closed, phase: "Fenced", proof });
  return written.ok ? DONE : outcomeOf(written);
}

function proofOf(word: Confirmation, nodeName: string, at: string): RecordedProof {
  const when = word.writtenAt === undefined ? "" : ` at ${word.writtenAt}`;
  const detail = `${word.by} wrote${when} that ${nodeName} is off, naming its boot ID; no sign of life was found then`;
  return {
    type: "Confirmed",
    bootID: word.bootID,
    observedAt: at,
    detail: detail.slice(0, MAX_DETAIL_CHARS),
    confirmedBy: word.by,
    ...(word.writtenAt === undefined ? {} : { confirmedAt: word.writtenAt }),
    ...(word.manager === undefined ? {} : { confirmedWith: word.manager }),
  };
}

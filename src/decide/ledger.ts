// Writing into a NodeFencing's ledger: always the whole next status, so that one compare-and-swap guards it.
import { type FencingFact, type FencingStatus, isClosed } from "../model/fencing.ts";
import type { EventNote } from "../model/plan.ts";
import { nodeEvent } from "./event.ts";
import { timestamp } from "./text.ts";
import type { Turn } from "./turn.ts";

/** Closes the ledger: nothing more is done under it. */
export function closeLedger(
  turn: Turn,
  fencing: FencingFact,
  phase: "Returned" | "Aborted",
  message: string,
): void {
  const node = turn.snapshot.nodes.get(fencing.nodeName);
  writeLedger(
    turn,
    fencing,
    { phase, message, ...(phase === "Returned" ? { returnedAt: timestamp(turn.now.wallMs) } : {}) },
    node === undefined
      ? []
      : [nodeEvent(node, "Normal", phase === "Aborted" ? "FencingAborted" : "NodeReturned", message)],
  );
}

/** Plans a write of the ledger with `change` laid over what stands. */
export function writeLedger(
  turn: Turn,
  fencing: FencingFact,
  change: Partial<FencingStatus>,
  events: readonly EventNote[] = [],
): void {
  if (isClosed(fencing)) return;
  turn.plan.add({ kind: "WriteFencing", fencing, status: { ...fencing.status, ...change }, events });
}

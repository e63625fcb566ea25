// A person's word that a node is off: taken where it names the incarnation that is to be fenced and nothing speaks against
// it, else refused once and for good. Whoever is refused writes it anew: a word that was wrong when it was given must not
// come true by itself later.
import { type Confirmation, isSameWord } from "../model/confirmation.ts";
import type { FencingFact } from "../model/fencing.ts";
import type { EventNote } from "../model/plan.ts";
import { fencingEvent, nodeEvent } from "./event.ts";
import { writeLedger } from "./ledger.ts";
import { timestamp } from "./text.ts";
import type { Turn } from "./turn.ts";

/**
 * Plans what follows from a person's word on an unproven fencing. True where that is the next step of this fencing; false
 * where there is no word, or one that has been refused already, and the devices go on.
 */
export function decideConfirmation(turn: Turn, fencing: FencingFact): boolean {
  const word = fencing.confirmation;
  if (word === undefined) return false;
  const { refusedConfirmation } = fencing.status;
  if (isSameWord(word, refusedConfirmation)) {
    turn.plan.refuse(`node/${fencing.nodeName}`, "ConfirmationRefused", refusedConfirmation?.message ?? "");
    return false;
  }
  const message = whyRefused(turn, fencing, word);
  if (message === undefined) {
    const said = `${word.by} confirms that ${fencing.nodeName} is off; its VMs are released, the most important first`;
    turn.plan.add({
      kind: "ConfirmOff",
      fencing,
      confirmation: word,
      events: eventsOn(turn, fencing, { type: "Normal", reason: "NodeFenced", message: said }),
    });
    return true;
  }
  const { bootID, by, writtenAt } = word;
  const refused = {
    bootID,
    by,
    ...(writtenAt === undefined ? {} : { writtenAt }),
    refusedAt: timestamp(turn.now.wallMs),
    message,
  };
  const event = { type: "Warning", reason: "ConfirmationRefused", message } as const;
  writeLedger(turn, fencing, { refusedConfirmation: refused }, eventsOn(turn, fencing, event));
  return true;
}

function whyRefused(turn: Turn, fencing: FencingFact, word: Confirmation): string | undefined {
  const { nodeName, bootID } = fencing;
  const anew = "remove both annotations and write them again";
  if (word.bootID !== bootID) {
    return `the word that ${nodeName} is off names boot ID ${word.bootID}, but this fencing is about ${bootID}: look again which machine it is, then ${anew} with that one`;
  }
  if (word.by === "") {
    return `the word that ${nodeName} is off does not say whose it is: ${anew}, with holdfast.dev/confirm-off-by`;
  }
  const verdict = turn.verdicts.get(nodeName);
  // Without a Node object nothing of it can be heard any more; its pods may still be there, and a person may vouch.
  if (verdict === undefined || verdict.kind === "lost") return undefined;
  return `${word.by} says that ${nodeName} is off, but it shows signs of life (it is judged ${verdict.kind}): if it is off now, wait until it is judged lost, then ${anew}`;
}

function eventsOn(
  turn: Turn,
  fencing: FencingFact,
  event: Pick<EventNote, "type" | "message"> & { readonly reason: "NodeFenced" | "ConfirmationRefused" },
): readonly EventNote[] {
  const node = turn.snapshot.nodes.get(fencing.nodeName);
  const { type, reason, message } = event;
  const about = fencingEvent(fencing, type, reason, message);
  return node === undefined ? [about] : [nodeEvent(node, type, reason, message), about];
}

// One attempt by a method whose device is somebody else's controller: begin, watch, and believe its signal only where the
// node is still silent.
import { weakNameOf } from "../model/proof.ts";
import type { ExternalLevel } from "../model/fencing.ts";
import type { FenceStep } from "../model/plan.ts";
import type { ActContext } from "./context.ts";
import type { ExternalFence, ExternalState } from "./external/external-fence.ts";
import { NetworkFence } from "./external/network-fence.ts";
import { RemediationFence } from "./external/remediation.ts";
import { whyUnaccepted } from "./external/weak-level.ts";
import { CallDeadline, pause } from "./fence/call-deadline.ts";
import { type AttemptEnd, MAX_DETAIL_CHARS } from "./fencing-attempt.ts";
import type { FreshNode } from "./fresh-nodes.ts";
import { lookForIncarnation, lookForLife, lookForSilence, lookPatiently } from "./sign-of-life.ts";
import { timestampOf } from "./wall-time.ts";

/** Between two looks at the object; it grows up to the second value. */
const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 1_000;
/** How often the node is looked at meanwhile: one that speaks again is not fenced any further. */
const LIFE_PERIOD_MS = 5_000;

/** What came of the attempt. `stale`: we no longer lead. */
export type ExternalTrial =
  | { readonly kind: "ended"; readonly end: AttemptEnd }
  | { readonly kind: "stale"; readonly why: string };

type ExternalStep = FenceStep & { readonly level: ExternalLevel };

/** Tries the level on the node until it gives its signal, it fails, or the level's time is over. */
export async function tryExternal(
  step: ExternalStep,
  spare: () => Promise<string | undefined>,
  context: ActContext,
): Promise<ExternalTrial> {
  const node = await context.nodes.read(step.fencing.nodeName);
  if (!node.ok) {
    if (node.kind === "stale" || node.kind === "aborted") return { kind: "stale", why: node.message };
    const answer =
      node.kind === "notFound"
        ? `the Node object of ${step.fencing.nodeName} is gone, so nothing says which machine it was`
        : `${step.fencing.nodeName} could not be read: ${node.message}`;
    return ended("Abandoned", answer);
  }
  const unaccepted = whyUnaccepted(step.level);
  if (unaccepted !== undefined) return ended("Misconfigured", unaccepted);
  const fence = fenceOf(step, node.value, context);
  const state = step.mayPowerOff ? await pursue(step, { fence, spare }, context) : await fence.look();
  switch (state.kind) {
    case "signalled":
      return confirm(step, { fence, state }, context);
    case "stale":
      return { kind: "stale", why: state.message };
    case "failed":
      return ended(state.outcome, state.message);
    case "waiting":
      return ended(step.mayPowerOff ? "TimedOut" : "Abandoned", state.message);
  }
}

function fenceOf({ fencing, level }: ExternalStep, node: FreshNode, context: ActContext): ExternalFence {
  switch (level.method) {
    case "Remediation": {
      const target = { fencing, node, level: level.name, timeoutMs: level.timeoutMs };
      return new RemediationFence({ ...target, template: level.remediation.template }, context);
    }
    case "NetworkFence":
      return new NetworkFence({ fencing, node, settings: level.networkFence }, context);
  }
}

async function pursue(
  { fencing, level }: ExternalStep,
  { fence, spare }: { readonly fence: ExternalFence; readonly spare: () => Promise<string | undefined> },
  context: ActContext,
): Promise<ExternalState> {
  const deadline = new CallDeadline(context.clock, {
    deadlineMs: level.timeoutMs,
    signal: context.leadership.signal,
  });
  try {
    let state = await fence.advance(spare);
    let lookedAtMs = context.clock.now().monotonicMs;
    for (
      let pauseMs = FIRST_PAUSE_MS;
      state.kind === "waiting";
      pauseMs = Math.min(MAX_PAUSE_MS, pauseMs * 2)
    ) {
      await pause(context.clock, pauseMs, deadline.signal);
      if (!context.leadership.valid()) return { kind: "stale", message: "leadership has ended" };
      if (deadline.signal.aborted) {
        await fence.giveUp();
        return state;
      }
      const nowMs = context.clock.now().monotonicMs;
      if (nowMs - lookedAtMs >= LIFE_PERIOD_MS) {
        lookedAtMs = nowMs;
        // Where a living node was asked to be fenced, its life is no surprise; another incarnation is.
        const look = fencing.requested === true ? lookForIncarnation : lookForLife;
        const found = await look(fencing, context);
        if (found.kind === "stale") return { kind: "stale", message: found.why };
        if (found.kind === "alive") {
          await fence.giveUp();
          return { kind: "failed", outcome: "Abandoned", message: `${found.why}; it was ${state.message}` };
        }
      }
      state = await fence.advance(spare);
      context.log.info({ node: fencing.nodeName, level: level.name, state: state.kind }, fence.label);
    }
    return state;
  } finally {
    deadline.end();
  }
}

/** The signal is there; what does the cluster say? As with a power state, a node that was heard meanwhile is not proven. */
async function confirm(
  { fencing, level }: ExternalStep,
  {
    fence,
    state,
  }: { readonly fence: ExternalFence; readonly state: Extract<ExternalState, { kind: "signalled" }> },
  context: ActContext,
): Promise<ExternalTrial> {
  const weakName = weakNameOf(state.proof);
  if (weakName !== undefined && !level.acceptWeakProof.includes(weakName)) {
    const answer = `${state.answer}. That does not prove that the guests have stopped, and acceptWeakProof of the level does not name ${weakName}`;
    return ended("Misconfigured", answer);
  }
  const signalledAtMs = context.clock.now().monotonicMs;
  let found = await lookPatiently(fencing, context);
  if (found.kind === "alive" && fencing.requested === true)
    found = await lookForSilence(fencing, signalledAtMs, context);
  if (found.kind === "stale") return { kind: "stale", why: found.why };
  if (found.kind === "alive" || found.kind === "unread") {
    // A word that the node itself has contradicted must not be there for the next attempt to believe.
    if (found.kind === "alive") await fence.giveUp();
    return ended("Abandoned", `${fence.label} gave its signal, yet ${found.why}`);
  }
  const { proof } = state;
  return {
    kind: "ended",
    end: {
      outcome: proof.type === "StorageFenced" ? "StorageFenced" : "Remediated",
      answer: state.answer.slice(0, MAX_DETAIL_CHARS),
      proof: {
        ...proof,
        bootID: fencing.bootID,
        observedAt: timestampOf(context.clock.now().wallMs),
        detail: proof.detail.slice(0, MAX_DETAIL_CHARS),
        ...(weakName === undefined ? {} : { acceptedAs: weakName }),
      },
    },
  };
}

function ended(outcome: AttemptEnd["outcome"], answer: string): ExternalTrial {
  return { kind: "ended", end: { outcome, answer: answer.slice(0, MAX_DETAIL_CHARS) } };
}

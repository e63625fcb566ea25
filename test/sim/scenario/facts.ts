// What is known of a scenario once it has run: what `-o json` prints, and what the timeline tells.
import type { Violation } from "../check/checks.ts";

/** `device` and `step` are the operator's own small steps: told as JSON, and not in the timeline. */
export type OccurrenceKind =
  | "script"
  | "power"
  | "guest"
  | "node"
  | "leader"
  | "verdict"
  | "refusal"
  | "shot"
  | "fencing"
  | "taint"
  | "release"
  | "migration"
  | "promise"
  | "device"
  | "step";

export interface Occurrence {
  /** Virtual milliseconds since the script began. */
  readonly atMs: number;
  readonly kind: OccurrenceKind;
  readonly text: string;
  readonly node?: string;
  readonly vm?: string;
  readonly replica?: string;
  readonly reason?: string;
}

export interface RefusalFact {
  /** `node/NAME`, `vm/NAMESPACE/NAME` or `cluster`. */
  readonly about: string;
  readonly reason: string;
  /** As it was first said. */
  readonly message: string;
  readonly firstAtMs: number;
  readonly times: number;
}

/** A step that was begun and not done, since the world was found otherwise than when it was decided. */
export interface RefusedStep {
  readonly atMs: number;
  readonly replica: string;
  /** Its kind and aim. */
  readonly step: string;
  readonly why: string;
}

export interface NodeFact {
  readonly name: string;
  /** The truth: off, booting, running or hung. */
  readonly state: string;
  /** As the API server has it; absent where the Node object is gone. */
  readonly ready?: string;
  readonly taints: readonly string[];
  readonly cordoned: boolean;
}

export interface VMFact {
  readonly name: string;
  readonly runStrategy: string;
  /** Where its guests hold their disks: one node if all is well. */
  readonly nodes: readonly string[];
  /** It has booted and does its work. */
  readonly isUp: boolean;
  /** Conditions of its HAVirtualMachine that are not True. */
  readonly told: readonly { readonly type: string; readonly status: string; readonly reason: string }[];
  /** `toMs` is absent while it lasts. */
  readonly outages: readonly { readonly fromMs: number; readonly toMs?: number }[];
}

export interface FencingFact {
  readonly name: string;
  readonly node: string;
  readonly phase: string;
  readonly proof?: string;
  readonly attempts: readonly string[];
}

export interface ScenarioFacts {
  readonly scenario: string;
  readonly title: string;
  readonly seed: number;
  readonly untilMs: number;
  /** What was amiss before the script began. */
  readonly unsettled: readonly string[];
  readonly begin: readonly VMFact[];
  readonly events: readonly Occurrence[];
  readonly vms: readonly VMFact[];
  readonly nodes: readonly NodeFact[];
  readonly fencings: readonly FencingFact[];
  /** Requests to cut power that left us, in order. */
  readonly powerCuts: readonly { readonly atMs: number; readonly node: string; readonly replica: string }[];
  readonly proven: readonly string[];
  readonly overlaps: readonly {
    readonly vm: string;
    readonly nodes: readonly [string, string];
    readonly fromMs: number;
    readonly toMs?: number;
  }[];
  readonly refusals: readonly RefusalFact[];
  readonly refusedSteps: readonly RefusedStep[];
  /** Promises that the checks of the simulation found broken. */
  readonly violations: readonly Violation[];
  /** What is amiss at the end. */
  readonly complaints: readonly string[];
  /** Sentences of the script's `must` that do not hold. */
  readonly unmet: readonly string[];
}

// What is asked of a simulation, and what it answers.

/** The blow, and the times that are taken for granted. */
export interface Scenario {
  readonly lose: readonly string[];
  readonly cordon: readonly string[];
  /** Lost nodes have power and only cannot be heard: they have to be shot, and a storm holds that. */
  readonly stillOn: boolean;
  /** From the first request at the fence device to the state read back. */
  readonly fenceMs: number;
  /** From a placed VM to Ready, where the VM's own last outage does not tell. */
  readonly bootMs: number;
}

export type Fate = "restarted" | "migrated" | "down" | "stays" | "untouched";

/** What became of one VM. */
export interface VMFate {
  readonly vm: string;
  readonly fate: Fate;
  /** Undefined: nobody has promised anything for it. */
  readonly priority: number | undefined;
  readonly from: string;
  readonly to: string | undefined;
  /** Place in the order of release or migration, from 1. */
  readonly order: number | undefined;
  /** When it was up again, or had moved, from the blow; milliseconds. */
  readonly afterMs: number | undefined;
  /** Why it did not come back or leave, and so what would help. */
  readonly why: string | undefined;
}

export interface StoryEvent {
  readonly afterMs: number;
  readonly about: string;
  readonly what: string;
}

export interface SimulationResult {
  readonly scenario: Scenario;
  /** In order: those that came back first, then those that did not. */
  readonly vms: readonly VMFate[];
  readonly story: readonly StoryEvent[];
  /** Until nothing more would happen. */
  readonly tookMs: number;
}

/** Whether the VM was promised something that this scenario breaks. */
export function isBroken(vm: VMFate): boolean {
  return vm.priority !== undefined && (vm.fate === "down" || vm.fate === "stays");
}

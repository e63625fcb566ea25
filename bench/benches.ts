// All benchmarks, in the order in which they run.
import type { Bench } from "./bench.ts";
import { memory } from "./memory.ts";
import { nodeLoss } from "./node-loss.ts";
import { restart } from "./restart.ts";
import { steadyState } from "./steady-state.ts";
import { turn } from "./turn.ts";

export const BENCHES: readonly Bench[] = [turn, nodeLoss, restart, steadyState, memory];

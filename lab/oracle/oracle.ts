// The lab's memory of which guest ran where at every instant. Guests tell it; nothing the operator can reach changes it.
import { labTime } from "../lab-time.ts";
import { type GuestRun, type Outage, outagesOf } from "./guest-run.ts";
import type { GuestEnd, GuestExecution, GuestWitness } from "./witness.ts";

/** Two copies of one VM held its disk at the same time. */
export interface Overlap {
  readonly vm: string;
  /** The copy that ran first, and the one that joined it. */
  readonly nodes: readonly [string, string];
  readonly fromMs: number;
  /** Undefined while it lasts. */
  readonly toMs: number | undefined;
}

/** A write that took away what protected a running guest; dangerous whether or not a second copy followed. */
export interface UnsafeWrite {
  readonly kind: "launcherPodRemoved" | "outOfServiceTaint";
  readonly node: string;
  /** VMs whose guests held their disks on that node, through that pod. */
  readonly vms: readonly string[];
  readonly atMs: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
interface OpenRun extends Mutable<Omit<GuestRun, "frozen">> {
  frozen: { fromMs: number; toMs: number | undefined }[];
}

/**
 * Guarantees: an overlap is found at the instant it begins, for a frozen guest too (it holds its disk); the switch of a
 * live migration is one instant and no overlap. Assumptions: every guest of the cluster has this oracle as witness.
 */
export class Oracle implements GuestWitness {
  readonly #runs = new Map<string, OpenRun[]>();
  readonly #overlaps: Mutable<Overlap>[] = [];
  readonly #openOverlaps = new Map<Mutable<Overlap>, readonly [OpenRun, OpenRun]>();
  readonly #unsafe: UnsafeWrite[] = [];

  get overlaps(): readonly Overlap[] {
    return this.#overlaps;
  }

  get unsafeWrites(): readonly UnsafeWrite[] {
    return this.#unsafe;
  }

  /** Names of all VMs that ever ran. */
  get vms(): readonly string[] {
    return [...this.#runs.keys()];
  }

  /** Every execution of a VM, oldest first. */
  history(vm: string): readonly GuestRun[] {
    return this.#runs.get(vm) ?? [];
  }

  /** Executions that hold their disks now: of one VM, or of all. */
  running(vm?: string): readonly GuestRun[] {
    const runs = vm === undefined ? [...this.#runs.values()].flat() : this.history(vm);
    return runs.filter(({ stoppedAtMs }) => stoppedAtMs === undefined);
  }

  outages(vm: string): readonly Outage[] {
    return outagesOf(vm, this.history(vm));
  }

  started(guest: GuestExecution): void {
    this.#begin(guest, "boot", oracleNowMs());
  }

  up(guest: GuestExecution): void {
    const run = this.#open(guest);
    if (run) run.upAtMs ??= oracleNowMs();
  }

  stopped(guest: GuestExecution, end: GuestEnd): void {
    this.#finish(guest, end, oracleNowMs());
  }

  froze(guest: GuestExecution): void {
    this.#open(guest)?.frozen.push({ fromMs: oracleNowMs(), toMs: undefined });
  }

  thawed(guest: GuestExecution): void {
    const pause = this.#open(guest)?.frozen.at(-1);
    if (pause) pause.toMs ??= oracleNowMs();
  }

  handedOver(from: GuestExecution, to: GuestExecution): void {
    const nowMs = oracleNowMs();
    this.#finish(from, "migrated", nowMs);
    this.#begin(to, "migration", nowMs).upAtMs = nowMs;
  }

  /** For the watch of the API server: writes are judged against what runs at this instant. */
  noteUnsafe(write: Omit<UnsafeWrite, "atMs">): void {
    this.#unsafe.push({ ...write, atMs: oracleNowMs() });
  }

  #begin(guest: GuestExecution, began: GuestRun["began"], nowMs: number): OpenRun {
    const run: OpenRun = {
      ...guest,
      began,
      startedAtMs: nowMs,
      upAtMs: undefined,
      stoppedAtMs: undefined,
      end: undefined,
      frozen: [],
    };
    const runs = this.#runs.get(guest.vm) ?? [];
    for (const other of runs) {
      if (other.stoppedAtMs !== undefined) continue;
      const overlap: Mutable<Overlap> = {
        vm: guest.vm,
        nodes: [other.node, guest.node],
        fromMs: nowMs,
        toMs: undefined,
      };
      this.#overlaps.push(overlap);
      this.#openOverlaps.set(overlap, [other, run]);
    }
    runs.push(run);
    this.#runs.set(guest.vm, runs);
    return run;
  }

  #finish(guest: GuestExecution, end: GuestEnd, nowMs: number): void {
    const run = this.#open(guest);
    if (!run) throw new Error(`a guest of ${guest.vm} stopped on ${guest.node} that never started there`);
    run.stoppedAtMs = nowMs;
    run.end = end;
    const pause = run.frozen.at(-1);
    if (pause) pause.toMs ??= nowMs;
    for (const [overlap, pair] of this.#openOverlaps) {
      if (!pair.includes(run)) continue;
      overlap.toMs = nowMs;
      this.#openOverlaps.delete(overlap);
    }
  }

  #open(guest: GuestExecution): OpenRun | undefined {
    return this.#runs
      .get(guest.vm)
      ?.find((run) => run.podUid === guest.podUid && run.stoppedAtMs === undefined);
  }
}

/** The oracle's clock: milliseconds since the epoch, never stepping back, with fractions. */
export function oracleNowMs(): number {
  return labTime.nowMs();
}

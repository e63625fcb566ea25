// The memory copy between two launchers, from connecting to the switch. Goes on by itself: virt-handler only starts it and reads how it went.
import { labTime } from "../lab-time.ts";
import type { Launcher } from "./launcher.ts";
import { timestamp } from "./objects.ts";

/** Finds the launcher that waits for a VMI on another node; undefined where that node does not answer. */
export interface MigrationPeers {
  waitingLauncher(nodeName: string, vmiUid: string): Launcher | undefined;
  /** Whether packets pass between this node and that one on the network that migrations use. */
  reaches(nodeName: string): boolean;
}

/** How the source's libvirt describes its migration (KubeVirt's domain metadata). */
export interface MigrationMetadata {
  readonly uid: string;
  readonly mode: "PreCopy";
  readonly startTimestamp: string;
  endTimestamp?: string;
  failed: boolean;
  failureReason?: string;
  abortStatus?: "Succeeded";
}

/** How often a source whose peer does not answer looks again. */
const STALL_CHECK_MS = 200;
const ABORTED = "Live migration has been aborted";

/** Source side of one migration attempt. */
export class OutgoingMigration {
  readonly metadata: MigrationMetadata;
  readonly #source: Launcher;
  #target: Launcher | undefined;

  constructor(source: Launcher, uid: string) {
    this.#source = source;
    this.metadata = { uid, mode: "PreCopy", startTimestamp: timestamp(), failed: false };
  }

  get done(): boolean {
    return this.metadata.endTimestamp !== undefined;
  }

  /** Connects and begins to copy; a peer that does not answer fails the migration at once. */
  start(targetNode: string): void {
    const { execution, peers, life } = this.#source.place;
    const target = peers.waitingLauncher(targetNode, execution.vmiUid);
    if (!target?.acceptIncoming(new IncomingMigration(target, this))) {
      this.#fail(`unable to connect to the migration target on node ${targetNode}`);
      return;
    }
    this.#target = target;
    this.#source.place.onChange();
    life.after(this.#source.guestDelays.preCopyMs, () => this.#switchOver(labTime.nowMs()));
  }

  /** Aborts while the copy runs; after the switch it is too late and nothing happens. */
  cancel(reason: string = ABORTED): void {
    if (this.done) return;
    this.metadata.abortStatus = "Succeeded";
    this.#fail(reason);
  }

  /** The source's machine or guest is gone: nothing is left to report, the target's QEMU ends. */
  sourceLost(): void {
    if (this.done) return;
    this.metadata.endTimestamp = timestamp();
    this.metadata.failed = true;
    this.#tellTarget();
  }

  /** The target is gone. The source notices when it can run. */
  targetLost(): void {
    const { life } = this.#source.place;
    life.after(0, () => this.#fail("the connection to the migration target broke"));
  }

  #switchOver(sinceMs: number): void {
    const target = this.#target;
    if (this.done || !target) return;
    // It may have gone while the source stood still, which has not had the time to notice.
    if (target.domain !== "incoming" || !target.alive) return this.targetLost();
    const { delays, life, peers } = this.#source.place;
    if (target.place.life.frozen || !peers.reaches(target.place.execution.node)) {
      if (labTime.nowMs() - sinceMs > delays.migrationProgressTimeoutMs) {
        this.#fail("Live migration stuck: no progress, it has been aborted");
      } else {
        life.after(STALL_CHECK_MS, () => this.#switchOver(sinceMs));
      }
      return;
    }
    this.metadata.endTimestamp = timestamp();
    target.takeOver(this.#source);
  }

  #fail(reason: string): void {
    if (this.done) return;
    this.metadata.endTimestamp = timestamp();
    this.metadata.failed = true;
    this.metadata.failureReason = reason;
    this.#tellTarget();
    this.#source.place.onChange();
  }

  #tellTarget(): void {
    const target = this.#target;
    target?.place.life.after(0, () => target.dropIncoming());
  }
}

/** Target side of one migration attempt. */
export class IncomingMigration {
  readonly #target: Launcher;
  readonly #outgoing: OutgoingMigration;

  constructor(target: Launcher, outgoing: OutgoingMigration) {
    this.#target = target;
    this.#outgoing = outgoing;
  }

  get metadata(): MigrationMetadata {
    return this.#outgoing.metadata;
  }

  targetLost(): void {
    if (this.#target.domain === "incoming") this.#outgoing.targetLost();
  }
}

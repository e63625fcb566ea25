// The lookups a turn needs, maintained from single changes; and which VMs have changed since the last turn.
import type { ProtectionFact } from "../model/protection.ts";
import type { SnapshotIndex } from "../model/snapshot.ts";
import type { LauncherPodFact, MigrationFact, VMFact, VMIFact } from "../model/virtual-machine.ts";
import { KeyIndex } from "./key-index.ts";

/** Moments of release remembered at most; the oldest goes first. They only time phases, nothing is decided on them. */
const MAX_RELEASES_REMEMBERED = 20_000;

/** Feeds on changes of facts; each `…Changed` takes the fact before and after. */
export class Indexes {
  readonly #vmisByNode = new KeyIndex();
  readonly #podsByNode = new KeyIndex();
  readonly #podsByVM = new KeyIndex();
  readonly #migrationsByVM = new KeyIndex();
  readonly #protectionsByVM = new KeyIndex();
  readonly #vmsByConstraints = new KeyIndex();
  readonly #unsettled = new Set<string>();
  readonly #unfinishedMigrations = new Set<string>();
  readonly #podsGoneAtWallMs = new Map<string, number>();
  #changedVMs = new Set<string>();

  readonly index: SnapshotIndex = {
    vmisByNode: this.#vmisByNode.groups,
    podsByNode: this.#podsByNode.groups,
    podsByVM: this.#podsByVM.groups,
    migrationsByVM: this.#migrationsByVM.groups,
    protectionsByVM: this.#protectionsByVM.groups,
    vmsByConstraints: this.#vmsByConstraints.groups,
    unsettled: this.#unsettled,
    unfinishedMigrations: this.#unfinishedMigrations,
    podsGoneAtWallMs: this.#podsGoneAtWallMs,
  };

  /** The VMs changed since this was last called. */
  takeChangedVMs(): ReadonlySet<string> {
    const changed = this.#changedVMs;
    this.#changedVMs = new Set();
    return changed;
  }

  vmChanged(key: string, before: VMFact | undefined, after: VMFact | undefined): void {
    this.#vmsByConstraints.move(key, before?.constraints.key, after?.constraints.key);
    this.#changedVMs.add(key);
  }

  vmiChanged(key: string, before: VMIFact | undefined, after: VMIFact | undefined): void {
    this.#vmisByNode.move(key, before?.nodeName, after?.nodeName);
    this.#changedVMs.add(key);
  }

  podChanged(
    key: string,
    before: LauncherPodFact | undefined,
    after: LauncherPodFact | undefined,
    wallMs: number,
  ): void {
    this.#podsByNode.move(key, before?.nodeName, after?.nodeName);
    this.#podsByVM.move(key, before?.vmKey, after?.vmKey);
    const vmKey = after?.vmKey ?? before?.vmKey;
    if (vmKey === undefined) return;
    this.#changedVMs.add(vmKey);
    if (after === undefined && before?.kind === "launcher" && before.nodeName !== undefined)
      this.#rememberRelease(vmKey, wallMs);
  }

  #rememberRelease(vmKey: string, wallMs: number): void {
    this.#podsGoneAtWallMs.delete(vmKey);
    this.#podsGoneAtWallMs.set(vmKey, wallMs);
    if (this.#podsGoneAtWallMs.size <= MAX_RELEASES_REMEMBERED) return;
    const oldest = this.#podsGoneAtWallMs.keys().next();
    if (oldest.done !== true) this.#podsGoneAtWallMs.delete(oldest.value);
  }

  migrationChanged(key: string, before: MigrationFact | undefined, after: MigrationFact | undefined): void {
    this.#migrationsByVM.move(key, before?.vmiKey, after?.vmiKey);
    if (after === undefined || after.finished) this.#unfinishedMigrations.delete(key);
    else this.#unfinishedMigrations.add(key);
    const vmKey = after?.vmiKey ?? before?.vmiKey;
    if (vmKey !== undefined) this.#changedVMs.add(vmKey);
  }

  protectionChanged(
    key: string,
    before: ProtectionFact | undefined,
    after: ProtectionFact | undefined,
  ): void {
    this.#protectionsByVM.move(key, before?.vmKey, after?.vmKey);
    if (after !== undefined && isUnsettled(after)) this.#unsettled.add(key);
    else this.#unsettled.delete(key);
    if (before !== undefined) this.#changedVMs.add(before.vmKey);
    if (after !== undefined) this.#changedVMs.add(after.vmKey);
  }
}

function isUnsettled({ status }: ProtectionFact): boolean {
  return (
    status.failover !== undefined || status.evacuation !== undefined || status.displacedFrom !== undefined
  );
}

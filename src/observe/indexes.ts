// The lookups a turn needs, maintained from single changes; and which VMs have changed since the last turn.
import type { Instant } from "../model/clock.ts";
import type { ProtectionFact } from "../model/protection.ts";
import type { PodGone, SnapshotIndex } from "../model/snapshot.ts";
import type { LauncherPodFact, MigrationFact, VMFact, VMIFact } from "../model/virtual-machine.ts";
import { DependentIndex } from "./dependent-index.ts";
import { KeyIndex } from "./key-index.ts";
import { MadeByPolicyIndex } from "./made-by-policy-index.ts";

/** Pods seen to go that are remembered at most; the oldest goes first. */
const MAX_PODS_GONE_REMEMBERED = 20_000;

/** Feeds on changes of facts; each `…Changed` takes the fact before and after. */
export class Indexes {
  readonly #vmisByNode = new KeyIndex();
  readonly #podsByNode = new KeyIndex();
  readonly #podsByVM = new KeyIndex();
  readonly #migrationsByVM = new KeyIndex();
  readonly #protectionsByVM = new KeyIndex();
  readonly #vmsByConstraints = new KeyIndex();
  readonly #dependents = new DependentIndex();
  readonly #madeByPolicy = new MadeByPolicyIndex();
  readonly #unsettled = new Set<string>();
  readonly #everDown = new Set<string>();
  readonly #unfinishedMigrations = new Set<string>();
  readonly #podsGone = new Map<string, PodGone>();
  #changedVMs = new Set<string>();

  readonly index: SnapshotIndex = {
    vmisByNode: this.#vmisByNode.groups,
    podsByNode: this.#podsByNode.groups,
    podsByVM: this.#podsByVM.groups,
    migrationsByVM: this.#migrationsByVM.groups,
    protectionsByVM: this.#protectionsByVM.groups,
    vmsByConstraints: this.#vmsByConstraints.groups,
    unsettled: this.#unsettled,
    everDown: this.#everDown,
    unfinishedMigrations: this.#unfinishedMigrations,
    podsGone: this.#podsGone,
    madeByPolicy: this.#madeByPolicy.counts,
  };

  /** The VMs changed since this was last called. */
  takeChangedVMs(): ReadonlySet<string> {
    const changed = this.#changedVMs;
    this.#changedVMs = new Set();
    return changed;
  }

  /** Labels of a namespace changed: of all VMs, only its own may be selected otherwise. */
  namespaceChanged(name: string, vmKeys: Iterable<string>): void {
    for (const key of vmKeys) if (key.startsWith(`${name}/`)) this.#changedVMs.add(key);
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
    at: Instant,
  ): void {
    this.#podsByNode.move(key, before?.nodeName, after?.nodeName);
    this.#podsByVM.move(key, before?.vmKey, after?.vmKey);
    const vmKey = after?.vmKey ?? before?.vmKey;
    if (vmKey === undefined) return;
    this.#changedVMs.add(vmKey);
    // The finished pods that past migrations left behind are cleared away later, and say nothing of a release.
    if (
      after === undefined &&
      before?.kind === "launcher" &&
      !before.finished &&
      before.nodeName !== undefined
    )
      this.#rememberGone(vmKey, { node: before.nodeName, at });
  }

  #rememberGone(vmKey: string, gone: PodGone): void {
    this.#podsGone.delete(vmKey);
    this.#podsGone.set(vmKey, gone);
    if (this.#podsGone.size <= MAX_PODS_GONE_REMEMBERED) return;
    const oldest = this.#podsGone.keys().next();
    if (oldest.done !== true) this.#podsGone.delete(oldest.value);
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
    if (after !== undefined && (after.status.availability?.days.length ?? 0) > 0) this.#everDown.add(key);
    else this.#everDown.delete(key);
    if (before !== undefined) this.#changedVMs.add(before.vmKey);
    if (after !== undefined) this.#changedVMs.add(after.vmKey);
    this.#madeByPolicy.changed(before, after);
    // What one says of its dependencies rests on the others that are there, and on what those wait for.
    for (const vmKey of this.#dependents.changed(key, before, after)) this.#changedVMs.add(vmKey);
  }
}

function isUnsettled({ status }: ProtectionFact): boolean {
  return (
    status.failover !== undefined ||
    status.evacuation !== undefined ||
    status.displacedFrom !== undefined ||
    status.availability?.open?.class === "Unplanned" ||
    status.conditions.some((condition) => condition.reason === "RestartLimitReached")
  );
}

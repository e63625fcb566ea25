// Method Remediation: has an operator of the medik8s family fence the node, by its contract, as NodeHealthCheck would.
//
// Guarantees: one remediation at a time for one ledger, whoever leads: its name follows from the ledger, the level and how
// many of ours have failed before, so that two leaders can only make the same one. One that somebody else made for the node
// is waited for instead of a second one being made; it is neither stopped nor deleted by us.
import type { ServedKind } from "./api-kinds.ts";
import type { ActContext } from "../context.ts";
import type { FreshNode } from "../fresh-nodes.ts";
import { type EffectFailure, send } from "../guarded-request.ts";
import { outcomeOf } from "../outcome.ts";
import { secondsOf } from "../wall-time.ts";
import { discoverKind, kindPath } from "./api-kinds.ts";
import { type ExternalFence, type ExternalState, failed, waiting } from "./external-fence.ts";
import { needsMachine, type OwnerMachine, readOwnerMachine } from "./owner-machine.ts";
import { holdNodeLease } from "./remediation-lease.ts";
import {
  type Manifest,
  manifestOf,
  readTemplate,
  type RemediationTarget,
  suffixOf,
} from "./remediation-manifest.ts";
import { FENCING_LABEL, listRemediations } from "./remediation-list.ts";
import {
  EXCLUDE_LABEL,
  nodeOf,
  type Remediation,
  type RemediationSignal,
  signalOf,
  stoppedText,
  TIMED_OUT_ANNOTATION,
  toldToStop,
} from "./remediation-signal.ts";
import { withoutSecrets } from "./without-secrets.ts";

/** Holder of the node's Lease whose remediation is about to appear: NodeHealthCheck takes the Lease first. */
const HEALTH_CHECK_HOLDER = /^(NodeHealthCheck|MachineHealthCheck)-/;
/**
 * How much younger than the node's last sign of life somebody else's word must be: their clock and ours may differ, and a
 * word about an earlier boot must not pass for one about this.
 */
const SKEW_MS = 5_000;

interface Found {
  readonly remediation: Remediation;
  readonly signal: RemediationSignal;
  readonly ours: boolean;
}

interface Kinds {
  readonly template: ServedKind;
  readonly remediation: ServedKind;
  /** Namespace of both; undefined where they have none. */
  readonly namespace: string | undefined;
  /** Only for the kinds that need one. */
  readonly machine: OwnerMachine | undefined;
}

/** Kind of the remediation that a template of that kind makes. */
export function remediationKindOf(templateKind: string): string {
  return templateKind.replace(/Template$/, "");
}

/** Why no remediation may be made for the node, whoever asks; undefined where one may. */
export function whyExcluded(node: Pick<FreshNode, "name" | "labels">): string | undefined {
  return node.labels[EXCLUDE_LABEL] === "true"
    ? `${node.name} is labelled ${EXCLUDE_LABEL}=true: it must not be remediated`
    : undefined;
}

export class RemediationFence implements ExternalFence {
  readonly label: string;
  readonly #target: RemediationTarget;
  readonly #context: ActContext;
  readonly #kind: string;
  #kinds: Kinds | undefined;
  /** Remediations of ours that had failed before this attempt looked for the first time. */
  #failedBefore: ReadonlySet<string> | undefined;

  constructor(target: RemediationTarget, context: ActContext) {
    this.#target = target;
    this.#context = context;
    this.#kind = remediationKindOf(target.template.kind);
    this.label = `${this.#kind} of template ${target.template.name}`;
  }

  async look(): Promise<ExternalState> {
    const found = await this.#find();
    if ("kind" in found) return found;
    return (await this.#signalled(found)) ?? waiting("no remediation of it is safe yet");
  }

  async advance(spare: () => Promise<string | undefined>): Promise<ExternalState> {
    const found = await this.#find();
    if ("kind" in found) return found;
    const signalled = await this.#signalled(found);
    if (signalled !== undefined) return signalled;
    this.#failedBefore ??= new Set(
      found
        .filter(({ ours, signal }) => ours && signal.kind === "failed")
        .map(({ remediation }) => remediation.metadata.uid),
    );
    const active = found.find(({ signal, remediation }) => {
      return signal.kind === "working" && remediation.metadata.deletionTimestamp === undefined;
    });
    if (active !== undefined) return this.#follow(active);
    const failure = found.find(
      ({ ours, signal, remediation }) =>
        ours && signal.kind === "failed" && this.#failedBefore?.has(remediation.metadata.uid) === false,
    );
    if (failure?.signal.kind === "failed")
      return failed("Refused", this.#text(failure, failure.signal.message));
    return this.#begin(found, spare);
  }

  async giveUp(): Promise<void> {
    const found = await this.#find();
    if ("kind" in found) return;
    for (const { ours, signal, remediation } of found) {
      if (!ours || signal.kind === "failed" || this.#kinds === undefined) continue;
      const { name, uid } = remediation.metadata;
      const annotations = { [TIMED_OUT_ANNOTATION]: secondsOf(this.#context.clock.now().wallMs) };
      await send(this.#context, {
        method: "PATCH",
        path: kindPath(this.#kinds.remediation, this.#kinds.namespace, name),
        contentType: "application/merge-patch+json",
        body: { metadata: { uid, annotations } },
      });
    }
  }

  /** The remediations of this node, the newest last; or why they cannot be known. */
  async #find(): Promise<readonly Found[] | ExternalState> {
    const kinds = await this.#discover();
    if ("message" in kinds) return kinds;
    const listed = await listRemediations(this.#context, kinds.remediation, kinds.namespace);
    if (!listed.ok) return stateOf(listed, `${this.#kind}s cannot be listed`);
    const nowWallMs = this.#context.clock.now().wallMs;
    return listed.value
      .filter((remediation) => this.#isOfNode(remediation, kinds.machine))
      .map((remediation) => {
        const ours = remediation.metadata.labels[FENCING_LABEL] === this.#target.fencing.uid;
        const stoppedAt = toldToStop(remediation);
        // The attempt that it was made for has ended without it: what it says now is no answer to anything we ask.
        const signal: RemediationSignal =
          ours && stoppedAt !== undefined
            ? { kind: "failed", message: stoppedText(stoppedAt) }
            : signalOf(this.#kind, remediation, nowWallMs);
        return { remediation, signal, ours };
      });
  }

  /** By the Machine where that is how its controller tells: whoever else makes one calls it by the Machine's name. */
  #isOfNode(remediation: Remediation, machine: OwnerMachine | undefined): boolean {
    return machine === undefined
      ? nodeOf(remediation) === this.#target.node.name
      : remediation.metadata.ownerReferences.some(({ uid }) => uid === machine.uid);
  }

  async #discover(): Promise<Kinds | Exclude<ExternalState, { kind: "signalled" }>> {
    if (this.#kinds !== undefined) return this.#kinds;
    const { apiVersion, kind, name, namespace } = this.#target.template;
    const [template, remediation] = await Promise.all([
      discoverKind(this.#context, apiVersion, kind),
      discoverKind(this.#context, apiVersion, this.#kind),
    ]);
    if (!template.ok) return stateOf(template);
    if (!remediation.ok) return stateOf(remediation);
    if (template.value.namespaced && namespace === undefined) {
      const message = `${kind} ${name} has a namespace: name it in the templateRef`;
      return { kind: "failed", outcome: "Misconfigured", message };
    }
    let machine: OwnerMachine | undefined;
    if (needsMachine(this.#kind)) {
      const owner = await readOwnerMachine(this.#context, this.#target.node, namespace);
      if (!owner.ok) return stateOf(owner, `${this.#kind} needs a Cluster API Machine that owns it`);
      machine = owner.value;
    }
    this.#kinds = { template: template.value, remediation: remediation.value, namespace, machine };
    return this.#kinds;
  }

  async #signalled(found: readonly Found[]): Promise<ExternalState | undefined> {
    for (const one of found) {
      const { signal, remediation, ours } = one;
      if (signal.kind !== "safe" || !(ours || (await this.#isYoungerThanLife(signal)))) continue;
      const { name, namespace, uid } = remediation.metadata;
      const { apiVersion } = this.#target.template;
      const ref = {
        apiVersion,
        kind: this.#kind,
        ...(namespace === undefined ? {} : { namespace }),
        name,
        uid,
      };
      const detail = this.#text(one, signal.says);
      const proof =
        signal.horizon === undefined
          ? { type: "Remediated" as const, detail, remediation: ref }
          : { type: "SelfFenced" as const, detail, remediation: ref, horizon: signal.horizon };
      return { kind: "signalled", answer: detail, proof };
    }
    return undefined;
  }

  /** Younger than the ledger's last sign of life, and than any renewal that came late, after the node was judged lost. */
  async #isYoungerThanLife({ at }: { readonly at: string }): Promise<boolean> {
    const { nodeName, lastSeenAt } = this.#target.fencing;
    const read = await this.#context.facts.refreshNode(nodeName);
    if (!read.ok && read.kind !== "notFound") return false;
    const lives = [lastSeenAt, (read.ok && read.value.leaseRenewTime) || lastSeenAt].map(Date.parse);
    return lives.every((lifeMs) => Number.isNaN(lifeMs) || Date.parse(at) > lifeMs + SKEW_MS);
  }

  /** It is under way, whoever made it. Ours is guarded by the Lease that we go on holding. */
  async #follow(active: Found): Promise<ExternalState> {
    if (active.ours) await holdNodeLease(this.#context, this.#target.node, this.#target.timeoutMs);
    return waiting(
      this.#text(active, active.signal.kind === "safe" ? active.signal.says : active.signal.message),
    );
  }

  async #begin(found: readonly Found[], spare: () => Promise<string | undefined>): Promise<ExternalState> {
    const { node, template, timeoutMs } = this.#target;
    const kinds = this.#kinds;
    if (kinds === undefined) return waiting("its kind is not discovered yet");
    const why = whyExcluded(node);
    if (why !== undefined) return failed("Refused", why);
    const hold = await holdNodeLease(this.#context, node, timeoutMs);
    if (hold.kind === "failed") return stateOf(hold.failure);
    if (hold.kind === "held") {
      const message = `the Lease medik8s-leases/node-${node.name} is held by ${hold.by}`;
      return HEALTH_CHECK_HOLDER.test(hold.by)
        ? waiting(`${message}; waiting for its remediation`)
        : failed("Refused", message);
    }
    const read = await readTemplate(this.#context, kinds.template, template);
    if (!read.ok) return stateOf(read);
    const earlier = found.filter(({ ours }) => ours).length;
    const manifest = manifestOf(read.value, {
      ...this.#target,
      kind: this.#kind,
      suffix: suffixOf(this.#target.fencing.uid, this.#target.level, earlier),
      machine: kinds.machine,
    });
    if (!manifest.ok) return failed("Misconfigured", manifest.message);
    const blocked = await this.#clear(found, manifest.value, kinds);
    return blocked ?? this.#create(manifest.value, kinds, spare);
  }

  /** A name that is the node's own can be used once: an earlier one of ours under it goes first. */
  async #clear(
    found: readonly Found[],
    manifest: Manifest,
    kinds: Kinds,
  ): Promise<ExternalState | undefined> {
    const standing = found.find(({ remediation }) => remediation.metadata.name === manifest.metadata.name);
    if (standing === undefined) return undefined;
    const { name, uid, deletionTimestamp } = standing.remediation.metadata;
    if (!standing.ours) {
      const why = "it is over or failed before this loss of the node, and stands in the way of another";
      return failed("Refused", this.#text(standing, why));
    }
    if (deletionTimestamp === undefined) {
      const path = kindPath(kinds.remediation, kinds.namespace, name);
      const gone = await send(this.#context, { method: "DELETE", path, body: { preconditions: { uid } } });
      if (!gone.ok && gone.kind !== "notFound") return stateOf(gone);
    }
    return waiting(this.#text(standing, "failed earlier and is on its way out"));
  }

  async #create(
    manifest: Manifest,
    kinds: Kinds,
    spare: () => Promise<string | undefined>,
  ): Promise<ExternalState> {
    const spared = await spare();
    if (spared !== undefined) return failed("Abandoned", spared);
    const created = await send<unknown>(this.#context, {
      method: "POST",
      path: kindPath(kinds.remediation, kinds.namespace),
      query: { fieldManager: this.#context.fieldManager },
      body: manifest,
    });
    // There already: an earlier request of ours arrived although its answer did not, or another leader was faster.
    if (created.ok || created.kind === "alreadyExists")
      return waiting(`${this.#kind} ${manifest.metadata.name} is made`);
    // The server repeats values that it refuses.
    const message = withoutSecrets(created.message, manifest.spec);
    return stateOf({ ...created, message }, `${this.#kind} cannot be made`);
  }

  #text({ remediation, ours }: Found, says: string): string {
    const { namespace, name } = remediation.metadata;
    const whose = ours ? "" : ", made by somebody else";
    return `${this.#kind} ${namespace === undefined ? "" : `${namespace}/`}${name}${whose}: ${withoutSecrets(says, remediation.spec)}`;
  }
}

/** A request that failed: tried again until the attempt's deadline, unless only a person can change it. */
function stateOf(failure: EffectFailure, what?: string): Exclude<ExternalState, { kind: "signalled" }> {
  const message = what === undefined ? failure.message : `${what}: ${failure.message}`;
  const { outcome } = outcomeOf(failure);
  if (outcome === "stale") return { kind: "stale", message };
  if (outcome === "retry") return { kind: "waiting", message };
  return { kind: "failed", outcome: "Misconfigured", message };
}

// The standing verdict on one VM: would it survive the loss of its node, can it be migrated, is it up; and why not.
import type { Candidates, FailoverRecord } from "../model/protection.ts";
import { MAX_CANDIDATES_COUNTED } from "../model/protection.ts";
import { isFinal } from "../model/virtual-machine.ts";
import type { ConditionReason } from "../api/reasons.ts";
import type { Judgement } from "./condition.ts";
import { disarmMessage } from "./disarm.ts";
import { isInCycle, missingDependencies } from "./dependencies.ts";
import { restartLimit } from "./restart-limit.ts";
import { strategyMessage, willRestart } from "./run-strategy.ts";
import type { Subject } from "./subject.ts";
import { notFenceable } from "./topologies.ts";
import { protectionOf } from "./turn.ts";

/** Nodes other than its own that could host the VM, counted no further than `MAX_CANDIDATES_COUNTED`. */
export function candidatesOf(subject: Subject): Candidates | undefined {
  if (subject.vm === undefined) return undefined;
  const all = subject.turn.candidates.get(subject.vm.constraints.key) ?? [];
  const others = all.filter((node) => node !== subject.vmi?.nodeName);
  const count = Math.min(others.length, MAX_CANDIDATES_COUNTED);
  // Named only where they are few: else the loss of one node among many would change thousands of statuses.
  return { count, nodes: count < MAX_CANDIDATES_COUNTED ? [...others].sort() : [] };
}

/** The conditions of one HAVirtualMachine, in the order in which they are shown. */
export function judgeStanding(
  subject: Subject,
  candidates: Candidates | undefined,
  failover: FailoverRecord | undefined,
): readonly Judgement[] {
  const accepted = judgeAccepted(subject);
  const restartable = judgeRestartable(subject, candidates);
  return [
    accepted,
    judgeProtected(subject, accepted, restartable),
    judgeAvailable(subject, failover),
    restartable,
    judgeMigratable(subject, candidates),
  ];
}

type Say = (status: Judgement["status"], reason: ConditionReason, message: string) => Judgement;

function judging(type: string): Say {
  return (status, reason, message) => ({ type, status, reason, message });
}

function judgeAccepted({ turn, protection, vm }: Subject): Judgement {
  const no = judging("Accepted").bind(undefined, "False");
  if (vm === undefined) {
    return no(
      "VirtualMachineNotFound",
      `there is no VirtualMachine ${protection.vmKey}: create it, or correct spec.virtualMachineName`,
    );
  }
  const inCharge = protectionOf(turn.snapshot, protection.vmKey);
  if (inCharge !== undefined && inCharge.key !== protection.key) {
    return no(
      "DuplicateProtection",
      `HAVirtualMachine ${inCharge.name} already protects ${protection.vmKey}: delete one of the two`,
    );
  }
  if (protection.dependsOn.length > 0) {
    if (isInCycle(turn.snapshot, protection)) {
      return no(
        "DependencyCycle",
        "spec.dependsOn leads back to itself: the dependencies are ignored until the circle is broken",
      );
    }
    const missing = missingDependencies(turn.snapshot, protection);
    if (missing.length > 0) {
      return no(
        "DependencyNotFound",
        `spec.dependsOn names HAVirtualMachines that do not exist: ${missing.join(", ")}`,
      );
    }
  }
  return { type: "Accepted", status: "True", reason: "Accepted", message: "" };
}

function judgeProtected(subject: Subject, accepted: Judgement, restartable: Judgement): Judgement {
  const { turn, protection, vmi } = subject;
  const no = judging("Protected").bind(undefined, "False");
  if (accepted.reason === "VirtualMachineNotFound" || accepted.reason === "DuplicateProtection") {
    return no(accepted.reason, accepted.message);
  }
  if (!protection.failover.enabled) return no("FailoverDisabled", "spec.failover.enabled is false");
  if (vmi?.nodeName === undefined || isFinal(vmi))
    return no("NotRunning", "it is not running, so there is nothing to protect");
  if (!turn.topologies.has(vmi.nodeName)) {
    return no("NoFencingTopology", `no FencingTopology covers ${vmi.nodeName}: its loss could not be proven`);
  }
  const disarm = turn.disarms.get(vmi.nodeName);
  if (disarm !== undefined) return no("FencingDisarmed", disarmMessage(disarm));
  const unready = notFenceable(turn, vmi.nodeName);
  if (unready !== undefined)
    return no("NodeNotFenceable", `${vmi.nodeName} could not be fenced now: ${unready}`);
  const limit = restartLimit(turn, protection);
  if (limit !== undefined) return no("RestartLimitReached", limit);
  if (restartable.status !== "True") return no("NotRestartable", restartable.message);
  return {
    type: "Protected",
    status: "True",
    reason: "Protected",
    message: `if ${vmi.nodeName} is lost: ${restartable.message}`,
  };
}

function judgeRestartable(subject: Subject, candidates: Candidates | undefined): Judgement {
  const judgement = judging("Restartable");
  if (subject.vm === undefined || candidates === undefined)
    return judgement("Unknown", "Unknown", "its VirtualMachine is not known");
  if (!willRestart(subject.turn, subject.protection)) {
    return judgement("False", "RunStrategyForbids", strategyMessage(subject.vm));
  }
  if (candidates.count === 0) {
    return judgement(
      "False",
      "NoCandidateNode",
      "cannot restart: no other node satisfies its node selector, affinity and tolerations",
    );
  }
  return judgement("True", "NodeAvailable", candidatesMessage(candidates));
}

function candidatesMessage(candidates: Candidates): string {
  if (candidates.count >= MAX_CANDIDATES_COUNTED)
    return `restarts elsewhere, at least ${candidates.count} other nodes can host it`;
  if (candidates.count === 1)
    return `restarts on ${candidates.nodes[0] ?? "?"}, the only other node that can host it`;
  return `restarts on ${candidates.nodes.join(" or ")}`;
}

function judgeAvailable({ turn, vm, vmi }: Subject, failover: FailoverRecord | undefined): Judgement {
  const judgement = judging("Available");
  if (vmi === undefined || isFinal(vmi)) {
    const comesBack =
      vm?.runStrategy === "Always" || (vm?.runStrategy === "RerunOnFailure" && vmi?.phase === "Failed");
    return comesBack || failover !== undefined
      ? judgement("False", "Restarting", "it is down and to be started again")
      : judgement("False", "Stopped", "it is stopped");
  }
  const { nodeName } = vmi;
  const verdict = nodeName === undefined ? undefined : turn.verdicts.get(nodeName)?.kind;
  if (verdict === "isolated") {
    return judgement(
      "Unknown",
      "NodeIsolated",
      `the kubelet of ${nodeName ?? ""} is silent while virt-handler is heard or its host answers: it may be running`,
    );
  }
  // What has been taken for lost stays so until it is known how it ended, whatever its VMI still says.
  const lostOn = failover?.vmiUID === vmi.uid ? failover.fromNode : undefined;
  const ended = verdict === "returning" && failover === undefined;
  if (verdict === "lost" || (lostOn !== undefined && lostOn === nodeName) || ended)
    return judgement("False", "NodeLost", `its node ${nodeName ?? ""} is lost`);
  if (lostOn !== undefined)
    return judgement(
      "False",
      "NodeLost",
      `${lostOn}, which it was on, is lost, and what became of it is not settled`,
    );
  if (vmi.paused !== undefined) return judgement("False", "Paused", `paused: ${vmi.paused}`);
  if (vmi.phase !== "Running") return judgement("False", "Restarting", `it is ${vmi.phase}`);
  if (nodeName !== undefined && verdict === undefined)
    return judgement("Unknown", "Unknown", `there is no Node ${nodeName}: nobody can say whether it runs`);
  if (!vmi.ready) return judgement("False", "NotReady", "it runs but is not Ready");
  return judgement("True", "Running", `runs on ${nodeName ?? ""}`);
}

function judgeMigratable(subject: Subject, candidates: Candidates | undefined): Judgement {
  const judgement = judging("Migratable");
  const { vmi } = subject;
  if (vmi === undefined || vmi.phase !== "Running")
    return judgement("Unknown", "NotRunning", "it is not running");
  if (vmi.liveMigratable === undefined)
    return judgement("Unknown", "Unknown", "virt-handler has not judged it yet");
  if (!vmi.liveMigratable.status) {
    return judgement(
      "False",
      "NotMigratable",
      `KubeVirt cannot live-migrate it: ${vmi.liveMigratable.reason}: ${vmi.liveMigratable.message}`,
    );
  }
  if (candidates?.count === 0) return judgement("False", "NoCandidateNode", "no other node can host it");
  return judgement("True", "Migratable", "");
}

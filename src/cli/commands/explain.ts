// `explain vm NAME` and `explain node NAME`: why a thing is as it is, and what would change it.
import { defaultPolicy } from "../../config.ts";
import { decide } from "../../decide/decide.ts";
import { topologiesByNode } from "../../decide/topologies.ts";
import { protectionOf } from "../../decide/turn.ts";
import type { ApiTransport } from "../../kube/transport.ts";
import type { ProtectionFact } from "../../model/protection.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { compareNames, openFencing, vmStatus } from "../cluster-status.ts";
import type { CommandContext } from "../command-context.ts";
import type { Command } from "../command.ts";
import { FROM_FLAG } from "../flag.ts";
import { eventsAbout } from "../events.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { renderNode, renderVM } from "../explanation-text.ts";
import { ledgerStory } from "../ledger-story.ts";
import type { Sighting } from "../observe-once.ts";

export const explain: Command = {
  name: "explain",
  summary: "Why a VM or node is as it is, and what would change that.",
  about: [
    "explain vm NAME tells whether the VM would survive the loss of its node and why, every condition of its promise, what is under way, its last outages phase by phase, and its Events.",
    "explain node NAME tells how the node is judged and by which signs, whether and how it could be fenced, everything its ledgers say in order of time, and what would become of each VM on it.",
  ],
  args: [
    { name: "KIND", help: "vm or node.", completes: () => ["vm", "node"] },
    {
      name: "NAME",
      help: "Name of the VirtualMachine (in the namespace of -n, or as namespace/name), or of the node.",
      completes: ([kind]) => (kind === "node" ? "nodes" : "vms"),
    },
  ],
  flags: [FROM_FLAG],
  examples: [
    ["kubectl holdfast explain vm db-0 -n shop", "would it come back?"],
    ["kubectl holdfast explain node worker-3", "what is going on with this node?"],
    [
      "kubectl holdfast explain vm db-0 -o json | jq .refusals",
      "what is refused at the moment, for programs",
    ],
  ],
  exits: ["0  explained", "3  explained, and it is not well", "5  there is no such VM or node"],
  run: async (context) => {
    const [kind = "", name = ""] = context.words;
    if (!["vm", "node"].includes(kind))
      return context.fail(`explain vm or explain node, not "${kind}"`, EXIT.usage);
    const look = await context.look();
    if (!look.ok) return context.fail(look.message);
    const scene = { sighting: look.value, transport: look.value.transport };
    if (kind === "node") return explainNode(context, scene, name);
    const key = name.includes("/") ? name : `${context.namespaceOf(look.value)}/${name}`;
    return explainVM(context, scene, key);
  },
};

interface Scene {
  readonly sighting: Sighting;
  readonly transport: ApiTransport;
}

async function explainVM(context: CommandContext, scene: Scene, key: string): Promise<ExitCode> {
  const { snapshot, now } = scene.sighting;
  const vm = snapshot.vms.get(key);
  if (vm === undefined) return context.fail(`there is no VirtualMachine ${key}`, EXIT.notFound);
  const vmi = snapshot.vmis.get(key);
  const protection = protectionOf(snapshot, key);
  const plan = decide(snapshot, defaultPolicy(), now);
  const about = { namespace: vm.namespace, name: vm.name };
  const events = [
    ...(await eventsAbout(scene.transport, {
      ...about,
      kinds: ["VirtualMachine", "VirtualMachineInstance", "HAVirtualMachine"],
    })),
  ];
  const fencing = snapshot.fencings.get(protection?.status.failover?.fencing ?? "");
  const judged = protection === undefined ? undefined : vmStatus(protection);
  const explanation = {
    vm: key,
    runStrategy: vm.runStrategy,
    phase: vmi?.phase,
    node: vmi?.nodeName,
    nodeVerdict: vmi?.nodeName === undefined ? undefined : plan.verdicts.get(vmi.nodeName)?.kind,
    promise: protection === undefined ? undefined : promiseOf(protection),
    state: judged?.state ?? "without a promise",
    why: judged?.why ?? "no HAVirtualMachine names it, so nobody would bring it back",
    conditions: protection?.status.conditions ?? [],
    failover: protection?.status.failover,
    evacuation: protection?.status.evacuation,
    displacedFrom: protection?.status.displacedFrom,
    outages: protection?.status.outages ?? [],
    refusals: plan.refusals.filter((refusal) => refusal.about === `vm/${key}`),
    ledger: fencing === undefined ? [] : ledgerStory(fencing),
    events,
  };
  if (context.json) context.printJson(explanation);
  else context.print(renderVM(context, explanation));
  return judged?.state === "well" || judged?.state === "moving" ? EXIT.ok : EXIT.attention;
}

function promiseOf(protection: ProtectionFact) {
  return {
    name: protection.name,
    madeByPolicy: protection.madeByPolicy,
    priority: protection.priority,
    dependsOn: protection.dependsOn.map(({ name }) => name),
  };
}

async function explainNode(context: CommandContext, scene: Scene, name: string): Promise<ExitCode> {
  const { snapshot, now } = scene.sighting;
  const node = snapshot.nodes.get(name);
  if (node === undefined) return context.fail(`there is no Node ${name}`, EXIT.notFound);
  const plan = decide(snapshot, defaultPolicy(), now);
  const verdict = plan.verdicts.get(name);
  const topology = topologiesByNode(snapshot).get(name);
  const ledgers = [...snapshot.fencings.values()]
    .filter((fencing) => fencing.nodeName === name)
    .sort((a, b) => Date.parse(a.detectedAt) - Date.parse(b.detectedAt));
  const explanation = {
    node: name,
    verdict,
    bootID: node.bootID,
    ready: node.ready,
    cordoned: node.placement.unschedulable,
    taints: node.placement.taints,
    topology:
      topology === undefined
        ? undefined
        : {
            name: topology.name,
            afterFencing: topology.afterFencing,
            levels: topology.levels.map((level) => ({ name: level.name, method: level.method })),
            conditions: topology.status.conditions,
          },
    openFencing: openFencing(snapshot, name)?.name,
    ledgers: ledgers.map((fencing) => ({
      name: fencing.name,
      phase: fencing.status.phase,
      message: fencing.status.message,
      story: ledgerStory(fencing),
    })),
    refusals: plan.refusals.filter((refusal) => refusal.about === `node/${name}`),
    vms: vmsOn(snapshot, name),
    events: await eventsAbout(scene.transport, { namespace: undefined, name, kinds: ["Node"] }),
  };
  if (context.json) context.printJson(explanation);
  else context.print(renderNode(context, explanation));
  return verdict?.kind === "healthy" && topology !== undefined ? EXIT.ok : EXIT.attention;
}

function vmsOn(snapshot: Snapshot, node: string) {
  return [...(snapshot.index.vmisByNode.get(node) ?? [])]
    .map((key) => {
      const protection = protectionOf(snapshot, key);
      const fate =
        protection?.status.conditions.find(({ type }) => type === "Protected")?.message ??
        "no HAVirtualMachine names it: it stays down until the node is back";
      return { vm: key, priority: protection?.priority, fate };
    })
    .sort((a, b) => (b.priority ?? -1) - (a.priority ?? -1) || compareNames(a.vm, b.vm));
}

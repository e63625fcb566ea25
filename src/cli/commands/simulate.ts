// `simulate`: what would become of each VM if nodes were lost or cordoned, by the operator's own decision in virtual time.
import { defaultPolicy } from "../../config.ts";
import { selectorMatches } from "../../model/label-selector.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import type { Outcome } from "../cli-world.ts";
import { compareNames } from "../cluster-status.ts";
import type { CommandContext } from "../command-context.ts";
import type { Command } from "../command.ts";
import { FROM_FLAG } from "../flag.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { parseSelector } from "../selector-text.ts";
import { gapsOf } from "../simulate/gaps.ts";
import { replay } from "../simulate/replay.ts";
import { readResources } from "../simulate/resources.ts";
import { isBroken, type Scenario } from "../simulate/scenario.ts";
import { renderFailures, renderResult } from "../simulate/simulation-text.ts";
import { type Ground, simulate as play } from "../simulate/simulation.ts";
import { type SingleFailures, singleFailures } from "../simulate/single-failures.ts";

const DEFAULT_FENCE_MS = 5_000;
const DEFAULT_BOOT_MS = 30_000;
/** Flags that mean nothing to a replay. */
const NOT_REPLAYED = ["from", "lose", "cordon", "fence-takes", "boot-takes"];

export const simulate: Command = {
  name: "simulate",
  summary: "What if: who goes where when nodes are lost or cordoned, and who stays down.",
  about: [
    "Takes one look at the cluster (or reads a dump), and plays what you ask for in virtual time with the operator's own decision: the silence, the verdict, the fencing, the release in order, the restarts. Prints who goes where, in which order, after about how long, who stays down and why. Nothing in the cluster is touched.",
    "Without --lose and --cordon, and beside them, it also tries the loss of each single node and names those that the cluster could not bear now.",
    "A dump holds all that is looked at: kubectl get nodes,vms,vmis,vmims,pods,havm,havmp,ftopo,nf,namespaces,kubevirts,pv,pvc -A -o yaml > dump.yaml; (echo ---; kubectl get leases -n kube-node-lease -o yaml) >> dump.yaml",
    "It assumes the operator's default settings, that fence devices answer, and measured times of KubeVirt. Placement looks at node selectors, node affinity, taints, CPU labels, required affinity and anti-affinity to other pods, the nodes that a PersistentVolume can be reached from, and room for every resource asked for, devices included; topology spread and preferences are not looked at.",
  ],
  args: [],
  flags: [
    FROM_FLAG,
    {
      name: "lose",
      value: "NODE",
      repeats: true,
      completes: "nodes",
      help: "A node that loses its power, or all nodes with labels such as zone=b. May be repeated.",
    },
    {
      name: "cordon",
      value: "NODE",
      repeats: true,
      completes: "nodes",
      help: "A node that is cordoned, or all nodes with such labels. May be repeated.",
    },
    { name: "still-on", help: "Lost nodes keep their power and only fall silent: they have to be shot." },
    { name: "fence-takes", value: "DURATION", help: "From the request to the proof. Default: 5s." },
    {
      name: "boot-takes",
      value: "DURATION",
      help: "From a place to Ready, for VMs whose last outage does not tell. Default: 30s.",
    },
    {
      name: "replay",
      value: "FILE",
      help: "In place of all that: decide once more what the operator decided, from a record of /decisions?id=N, and compare.",
    },
    { name: "story", help: "Also print everything that happens, in order of time." },
    { name: "no-single-failures", help: "Do not try the loss of each single node." },
  ],
  examples: [
    ["kubectl holdfast simulate", "which single failures could the cluster not bear now?"],
    ["kubectl holdfast simulate --lose=worker-2 --story", "the loss of one node, step by step"],
    ["kubectl holdfast simulate --lose=zone=b --cordon=worker-1", "a zone, while a node is being serviced"],
    ["kubectl holdfast simulate --replay=decision.json", "why did the operator do that last night?"],
    ["kubectl holdfast simulate --from=dump.yaml --lose=worker-2 -o json", "offline, for programs"],
  ],
  exits: [
    "0  every VM in care comes back; without --lose and --cordon: every single failure could be borne",
    "3  a VM in care would stay down, or on a cordoned node; without them: some single failure could not be borne",
    "with --replay: 0  the identical plan, 3  another one",
    "5  no node is called so, or has such labels",
  ],
  run: async (context) => {
    const record = context.value("replay");
    if (record !== undefined) {
      const others = NOT_REPLAYED.filter((flag) => context.values(flag).length > 0);
      return others.length === 0
        ? replay(context, record)
        : context.fail(
            `--replay decides a record once more and looks at nothing else: leave out ${others.map((flag) => `--${flag}`).join(", ")}`,
            EXIT.usage,
          );
    }
    const look = await context.look();
    if (!look.ok) return context.fail(look.message);
    const { transport, snapshot } = look.value;
    const gaps = gapsOf(snapshot);
    if (gaps.problem !== undefined)
      return context.fail(`${context.value("from") ?? look.value.server}: ${gaps.problem}`);
    const resources = await readResources(transport);
    if (!resources.ok) return context.fail(resources.message);
    const lose = chosenNodes(snapshot, context.values("lose"));
    const cordon = chosenNodes(snapshot, context.values("cordon"));
    if (!lose.ok) return context.fail(lose.message, EXIT.notFound);
    if (!cordon.ok) return context.fail(cordon.message, EXIT.notFound);
    const ground = { sighting: look.value, resources: resources.value, policy: defaultPolicy() };
    return answer(context, ground, {
      lose: lose.value,
      cordon: cordon.value,
      stillOn: context.has("still-on"),
      fenceMs: context.durationMs("fence-takes") ?? DEFAULT_FENCE_MS,
      bootMs: context.durationMs("boot-takes") ?? DEFAULT_BOOT_MS,
    });
  },
};

function answer(context: CommandContext, ground: Ground, scenario: Scenario): ExitCode {
  const asked = scenario.lose.length + scenario.cordon.length > 0;
  const result = asked ? play(ground, scenario) : undefined;
  const failures: SingleFailures | undefined =
    context.has("no-single-failures") && asked ? undefined : singleFailures(ground, scenario);
  const notes = [
    ...gapsOf(ground.sighting.snapshot).notes,
    ...ground.resources.notes,
    ...ground.sighting.unreadable.map((line) => `could not be read: ${line}`),
  ];
  if (context.json) context.printJson({ result, singleFailures: failures, notes });
  else {
    if (result !== undefined) context.print(renderResult(context, result));
    if (failures !== undefined) context.print(`${asked ? "\n" : ""}${renderFailures(context, failures)}`);
    for (const note of notes) context.print(context.paint("dim", `Note: ${note}\n`));
  }
  const broken =
    result === undefined ? (failures?.unbearable.length ?? 0) > 0 : result.vms.some((vm) => isBroken(vm));
  return broken ? EXIT.attention : EXIT.ok;
}

/** Nodes by name, or by labels where the text is a selector. */
function chosenNodes(snapshot: Snapshot, texts: readonly string[]): Outcome<readonly string[]> {
  const chosen = new Set<string>();
  for (const text of texts) {
    if (snapshot.nodes.has(text)) {
      chosen.add(text);
      continue;
    }
    const selector = parseSelector(text);
    const isSelector = selector.ok && /[=!(]/.test(text);
    const found = [...snapshot.nodes.values()].filter(
      ({ placement }) => isSelector && selectorMatches(selector.value, placement.labels),
    );
    if (found.length === 0) {
      const known = [...snapshot.nodes.keys()].sort(compareNames).slice(0, 8).join(", ");
      return {
        ok: false,
        message: isSelector
          ? `no node has the labels ${text}${text.includes(",") ? ", all of them; repeat the flag to name nodes of several" : ""}`
          : `there is no Node ${text}; there are ${known}${text.includes(",") ? "; repeat the flag to name several" : ""}`,
      };
    }
    for (const { name } of found) chosen.add(name);
  }
  return { ok: true, value: [...chosen].sort(compareNames) };
}

// Whether a run did what its script says it must, whatever the recorded expectation. Pure.
import type { ScenarioFacts } from "./facts.ts";
import type { ScriptFile } from "./script-file.ts";
import { DEFAULT_NAMESPACE } from "./world-file.ts";

/** What does not hold, one sentence each. Broken promises are among it, unless the script concedes them. */
export function unmetBy({ must, concedes }: ScriptFile, facts: Omit<ScenarioFacts, "unmet">): string[] {
  const conceded: readonly string[] = concedes?.checks ?? [];
  return [
    ...facts.violations
      .filter(({ check }) => !conceded.includes(check))
      .map(({ check, message }) => `broken promise: ${check}: ${message}`),
    ...conceded
      .filter((check) => !facts.violations.some((violation) => violation.check === check))
      .map((check) => `${check} is conceded and was kept: take it out of concedes`),
    ...setProblems(
      "must.cutPowerOf",
      must.cutPowerOf,
      facts.powerCuts.map(({ node }) => node),
    ),
    ...setProblems("must.prove", must.prove, facts.proven),
    ...(must.refuse ?? [])
      .filter((reason) => !facts.refusals.some((refusal) => refusal.reason === reason))
      .map((reason) => `must.refuse: nobody said ${reason}`),
    ...(must.tell ?? [])
      .filter(({ vm, type, reason }) => !wasTold(facts, keyOf(vm), ` ${type} `, reason))
      .map(({ vm, type, reason }) => `must.tell: ${vm} was never told ${type}, ${reason}`),
    ...Object.entries(must.run ?? {}).flatMap(([vm, node]) => placeProblems(facts, vm, node)),
    ...(must.stayUp ?? []).flatMap((vm) => {
      const fact = factOf(facts, vm);
      if (fact === undefined) return [`must.stayUp: there is no VM ${vm}`];
      return fact.outages.length === 0 && fact.isUp ? [] : [`must.stayUp: ${vm} was down`];
    }),
    ...releaseProblems(facts, must.releaseInOrder ?? []),
    ...upProblems(facts, must.comeUpInOrder ?? []),
    ...(must.beWell === true ? facts.complaints.map((complaint) => `must.beWell: ${complaint}`) : []),
  ];
}

function keyOf(vm: string): string {
  return vm.includes("/") ? vm : `${DEFAULT_NAMESPACE}/${vm}`;
}

function factOf(facts: Pick<ScenarioFacts, "vms">, vm: string) {
  return facts.vms.find(({ name }) => name === keyOf(vm));
}

function wasTold(
  { events }: Pick<ScenarioFacts, "events">,
  ...[vm, word, reason]: readonly [vm: string, word: string, reason: string]
): boolean {
  return events.some(
    (event) =>
      event.kind === "promise" && event.vm === vm && event.reason === reason && event.text.includes(word),
  );
}

function setProblems(
  field: string,
  wanted: readonly string[] | undefined,
  found: readonly string[],
): string[] {
  if (wanted === undefined) return [];
  const [want, has] = [wanted, found].map((names) => [...new Set(names)].sort().join(", ") || "none");
  return want === has ? [] : [`${field}: should be ${want}, and is ${has}`];
}

function placeProblems(facts: Pick<ScenarioFacts, "vms">, vm: string, wanted: string): string[] {
  const fact = factOf(facts, vm);
  if (fact === undefined) return [`must.run: there is no VM ${vm}`];
  const found = fact.nodes.length === 0 ? "nowhere" : fact.nodes.join(" and ");
  const isMet =
    wanted === "somewhere"
      ? fact.isUp && fact.nodes.length === 1
      : found === wanted && (fact.isUp || wanted === "nowhere");
  return isMet
    ? []
    : [`must.run: ${vm} should be on ${wanted}, and is on ${found}${fact.isUp ? "" : ", not up"}`];
}

function releaseProblems({ events }: Pick<ScenarioFacts, "events">, wanted: readonly string[]): string[] {
  const released = events.filter(({ kind }) => kind === "release").map(({ vm }) => vm ?? "");
  return orderProblems("must.releaseInOrder", released, wanted);
}

function upProblems({ events }: Pick<ScenarioFacts, "events">, wanted: readonly string[]): string[] {
  const up = events.filter(({ kind, text }) => kind === "guest" && text.includes(" is up on "));
  return orderProblems(
    "must.comeUpInOrder",
    up.map(({ vm }) => vm ?? ""),
    wanted,
  );
}

function orderProblems(field: string, found: readonly string[], wanted: readonly string[]): string[] {
  const keys = wanted.map(keyOf);
  const order = [...new Set(found.filter((vm) => keys.includes(vm)))].join(", ");
  return order === keys.join(", ")
    ? []
    : [`${field}: should be ${keys.join(", ")}, and is ${order || "none"}`];
}

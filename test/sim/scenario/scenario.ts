// A scenario as its folder holds it: read, checked, and put together. What is wrong with it is a list, with file and field.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parse } from "yaml";
import type { z } from "zod";
import type { Act, WorldPlan } from "../world/world-plan.ts";
import { type ScriptFile, scriptEventsOf, scriptFile } from "./script-file.ts";
import { type WorldFile, worldFile, worldPlanOf } from "./world-file.ts";

export const WORLD_FILE = "world.yaml";
export const SCRIPT_FILE = "script.yaml";

export interface Scenario {
  readonly name: string;
  readonly folder: string;
  readonly script: ScriptFile;
  readonly plan: WorldPlan;
}

export type ScenarioRead =
  | { readonly ok: true; readonly scenario: Scenario }
  | { readonly ok: false; readonly problems: readonly string[] };

/** The folder itself where it is a scenario, else those right below it that are. */
export function scenarioFolders(folder: string): readonly string[] {
  if (existsSync(join(folder, SCRIPT_FILE)) || existsSync(join(folder, WORLD_FILE))) return [folder];
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(folder, entry.name, SCRIPT_FILE)))
    .map((entry) => join(folder, entry.name))
    .sort();
}

export function readScenario(folder: string): ScenarioRead {
  const problems: string[] = [];
  const world = readFile(join(folder, WORLD_FILE), worldFile, problems);
  const script = readFile(join(folder, SCRIPT_FILE), scriptFile, problems);
  if (world === undefined || script === undefined) return { ok: false, problems };
  const events = scriptEventsOf(script);
  const plan: WorldPlan = { ...worldPlanOf(world), events, healAtMs: script.until };
  problems.push(...strangers(folder, world, plan));
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, scenario: { name: basename(folder), folder, script, plan } };
}

function readFile<S extends z.ZodType>(path: string, schema: S, problems: string[]): z.output<S> | undefined {
  let value: unknown;
  try {
    value = parse(readFileSync(path, "utf8"));
  } catch (error) {
    problems.push(`${path}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  for (const { path: field, message } of parsed.error.issues)
    problems.push(`${path}: ${field.length === 0 ? "the file" : fieldName(field)}: ${message}`);
  return undefined;
}

function fieldName(path: readonly PropertyKey[]): string {
  return path
    .map((step, at) => (typeof step === "number" ? `[${step}]` : `${at > 0 ? "." : ""}${String(step)}`))
    .join("");
}

/** Names that nothing in the world bears. */
function strangers(folder: string, world: WorldFile, plan: WorldPlan): string[] {
  const nodes = new Set(world.nodes.map(({ name }) => name));
  const replicas = new Set([...world.replicas.map(({ name }) => name), "leader"]);
  const vms = new Set(
    [...world.vms, ...plan.events.flatMap(({ act }) => (act.kind === "createVM" ? [act.vm] : []))].map(
      (vm) => `${vm.namespace}/${vm.name}`,
    ),
  );
  const problems: string[] = [];
  const check = (known: ReadonlySet<string>, said: string | undefined, where: string) => {
    if (said !== undefined && !known.has(said))
      problems.push(
        `${join(folder, where)} names ${said}, which is not there; there are ${[...known].join(", ")}`,
      );
  };
  for (const vm of world.vms) check(nodes, vm.on, `${WORLD_FILE}: VM ${vm.name}`);
  for (const replica of world.replicas) check(nodes, replica.on, `${WORLD_FILE}: replica ${replica.name}`);
  for (const node of world.nodes) check(nodes, node.bmc?.behind, `${WORLD_FILE}: the BMC of ${node.name}`);
  plan.events.forEach(({ act }, at) => {
    const where = `${SCRIPT_FILE}: event ${at + 1} (${act.kind})`;
    const named = act as Act & { readonly node?: string; readonly replica?: string; readonly vm?: unknown };
    check(nodes, named.node, where);
    if (act.kind === "cutPlane") for (const one of act.nodes) check(nodes, one, where);
    if (act.kind === "storageClient") check(nodes, act.tellsAddressOf, where);
    check(replicas, named.replica, where);
    if (typeof named.vm === "string") check(vms, named.vm, where);
  });
  return problems;
}

// What a simulation found, as text: the answer first, then who goes where, then the story.
import type { CommandContext } from "../command-context.ts";
import { type Cell, counted, durationText, table, type Tone } from "../terminal.ts";
import { isBroken, type SimulationResult, type VMFate } from "./scenario.ts";
import type { SingleFailures } from "./single-failures.ts";

/** VMs named for one node whose loss cannot be borne. */
const MAX_NAMED = 5;
const TONES: Readonly<Record<string, Tone>> = {
  restarted: "good",
  migrated: "good",
  down: "bad",
  stays: "warn",
};

/** The page about one scenario. */
export function renderResult(context: CommandContext, result: SimulationResult): string {
  const { paint } = context;
  const { lose, cordon, stillOn } = result.scenario;
  const blows = [
    lose.length === 0 ? "" : `${lose.join(", ")} ${stillOn ? "silent, with power" : "without power"}`,
    cordon.length === 0 ? "" : `${cordon.join(", ")} cordoned`,
  ];
  const title = blows.filter((blow) => blow !== "").join("; ");
  const inCare = result.vms.filter(({ priority }) => priority !== undefined);
  const broken = inCare.filter(isBroken);
  const verdict =
    inCare.length === 0
      ? "no VM in care is on it"
      : broken.length === 0
        ? paint("good", `every VM in care comes through (${inCare.length} of ${inCare.length})`)
        : paint("bad", `${broken.length} of ${inCare.length} VMs in care do not come through`);
  const lastMs = Math.max(0, ...result.vms.map(({ afterMs }) => afterMs ?? 0));
  const time = lastMs === 0 ? "" : `; the last is up after about ${durationText(lastMs)}`;
  const rows = result.vms.map((vm) => row(vm));
  const body =
    rows.length === 0
      ? "No VM is on these nodes.\n"
      : table(paint, ["order", "VM", "priority", "from", "to", "fate", "after about", "why"], rows);
  const story = context.has("story") ? `\n${paint("strong", "Story")}\n${renderStory(result)}` : "";
  return `${paint("strong", title)}: ${verdict}${time}\n\n${body}${story}`;
}

function row({ order, vm, priority, from, to, fate, afterMs, why }: VMFate): readonly Cell[] {
  return [
    order === undefined ? "-" : String(order),
    vm,
    priority === undefined ? "-" : String(priority),
    from,
    to ?? "-",
    { text: fate, tone: TONES[fate] ?? "plain" },
    afterMs === undefined ? "-" : durationText(afterMs),
    why ?? "",
  ];
}

function renderStory({ story }: SimulationResult): string {
  return story
    .map(({ afterMs, about, what }) => `  ${(afterMs / 1000).toFixed(1).padStart(8)} s  ${about}: ${what}\n`)
    .join("");
}

/** The page about the loss of each single node. */
export function renderFailures({ paint }: CommandContext, failures: SingleFailures): string {
  const { tried, untried, unbearable } = failures;
  const rest = untried === 0 ? "" : ` (${counted(untried, "more node")} with fewer VMs not tried)`;
  if (unbearable.length === 0) {
    const text = `The loss of any single node could be borne now: ${counted(tried.length, "node")} with VMs tried${rest}.`;
    return `${paint("good", text)}\n`;
  }
  const head = `The cluster could not bear now the loss of ${unbearable.map(({ node }) => node).join(", ")}`;
  const lines = unbearable.flatMap(({ node, down }) => [
    `  ${paint("strong", node)}: ${counted(down.length, "VM")} in care would stay down\n`,
    ...down.slice(0, MAX_NAMED).map(({ vm, why }) => `    ${vm}: ${why ?? ""}\n`),
    down.length > MAX_NAMED ? `    … and ${down.length - MAX_NAMED} more\n` : "",
  ]);
  return `${paint("bad", head)} (${counted(tried.length, "node")} with VMs tried${rest}):\n${lines.join("")}`;
}

// The facts of a run as a story for people: what `timeline.expect` holds. Pure.
import type { FencingFact, NodeFact, Occurrence, ScenarioFacts, VMFact } from "./facts.ts";

/** Longest line of a message before it is broken. */
const WIDTH = 110;
const INDENT = 9;

export function timelineOf(facts: ScenarioFacts): string {
  const told = facts.events.filter(({ kind }) => kind !== "device" && kind !== "step");
  const blocks = [
    [facts.title, "=".repeat(facts.title.length)],
    section("At the beginning", [
      ...facts.begin.map(placeOf),
      ...facts.begin.flatMap(({ name, told }) =>
        told
          .filter(({ status }) => status === "False")
          .map(({ type, status, reason }) => `${name} is told ${type} ${status} (${reason})`),
      ),
      ...facts.unsettled.map((one) => `amiss: ${one}`),
    ]),
    section("What happened", folded(inOrder(told)), 0),
    section(`VMs after ${clockOf(facts.untilMs)}`, facts.vms.map(vmLine)),
    section("Nodes", facts.nodes.map(nodeLine)),
    section("Fencings", orNone(facts.fencings.map(fencingLine))),
    section(
      "Power cuts asked for",
      orNone(facts.powerCuts.map(({ atMs, node, replica }) => `${clockOf(atMs)} ${node}, by ${replica}`)),
    ),
    section(
      "Refused",
      orNone(
        facts.refusals.map(({ about, reason, firstAtMs }) => `${clockOf(firstAtMs)} ${reason}: ${about}`),
      ),
    ),
    section(
      "Overlaps",
      orNone(
        facts.overlaps.map(
          ({ vm, nodes, fromMs, toMs }) =>
            `${vm} on ${nodes.join(" and ")} from ${clockOf(fromMs)} to ${toMs === undefined ? "the end" : clockOf(toMs)}`,
        ),
      ),
    ),
    section("Left to mend", orNone(facts.complaints)),
  ];
  return `${blocks.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

/** Kinds whose order within one second follows from chance alone, as long as each node and VM keeps its own. */
const UNORDERED: ReadonlySet<Occurrence["kind"]> = new Set([
  "verdict",
  "guest",
  "migration",
  "node",
  "promise",
]);

/**
 * Events of one second as they are told: what VMs are told last, and neighbours of one kind by their names, so that a
 * timeline changes where the story does. Releases, shots, and whatever leads up to them keep their order.
 */
function inOrder(events: readonly Occurrence[]): readonly Occurrence[] {
  const told: Occurrence[] = [];
  for (const all of bySecond(events)) {
    const promises = all.filter(({ kind }) => kind === "promise");
    let run: Occurrence[] = [];
    const flush = () => {
      told.push(...run.sort((one, other) => compare(subjectOf(one), subjectOf(other))));
      run = [];
    };
    for (const event of [...all.filter(({ kind }) => kind !== "promise"), ...promises]) {
      if (run.length > 0 && run[0]?.kind !== event.kind) flush();
      if (UNORDERED.has(event.kind)) run.push(event);
      else told.push(event);
    }
    flush();
  }
  return told;
}

function bySecond(events: readonly Occurrence[]): readonly (readonly Occurrence[])[] {
  const groups = new Map<number, Occurrence[]>();
  for (const event of events) {
    const second = Math.floor(event.atMs / 1_000);
    const group = groups.get(second);
    if (group === undefined) groups.set(second, [event]);
    else group.push(event);
  }
  return [...groups.values()];
}

function subjectOf({ vm, node, text }: Occurrence): string {
  return vm ?? node ?? text;
}

function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}

function section(title: string, lines: readonly string[], indent = 2): string[] {
  return [title, ...lines.map((line) => " ".repeat(indent) + line)];
}

function orNone(lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? ["none"] : lines;
}

/** One line for each; long ones broken, so that a changed word is a small difference. */
function folded(events: readonly Occurrence[]): string[] {
  return events.flatMap(({ atMs, kind, text }) => {
    const [first = "", ...rest] = broken(text, WIDTH - INDENT);
    const mark = kind === "script" ? "*" : " ";
    return [
      `${clockOf(atMs).padStart(INDENT - 3)} ${mark} ${first}`,
      ...rest.map((line) => " ".repeat(INDENT) + line),
    ];
  });
}

function broken(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + word.length + 1 > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Whole seconds: what is finer follows from chance. */
function clockOf(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function placeOf({ name, nodes, isUp }: VMFact): string {
  if (nodes.length === 0) return `${name} runs nowhere`;
  return `${name} ${isUp ? "runs" : "boots"} on ${nodes.join(" and ")}`;
}

function vmLine(vm: VMFact): string {
  const outages = vm.outages.map(({ fromMs, toMs }) =>
    toMs === undefined
      ? `down since ${clockOf(fromMs)}`
      : `was down ${((toMs - fromMs) / 1_000).toFixed(0)} s from ${clockOf(fromMs)}`,
  );
  return [vm.runStrategy === "Always" ? placeOf(vm) : `${placeOf(vm)} (${vm.runStrategy})`, ...outages].join(
    "; ",
  );
}

function nodeLine({ name, state, ready, taints, cordoned }: NodeFact): string {
  const said = ready === undefined ? "no Node object" : `Ready ${ready}`;
  return [name, state, said, ...(cordoned ? ["cordoned"] : []), ...taints].join(", ");
}

function fencingLine({ node, phase, proof, attempts }: FencingFact): string {
  return `${node}: ${phase || "not begun"}, ${proof === undefined ? "no proof" : `proof ${proof}`}, ${attempts.length} attempt${attempts.length === 1 ? "" : "s"}`;
}

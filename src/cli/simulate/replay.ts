// `simulate --replay FILE`: a recorded decision, decided once more. The same facts must give the same plan.
import { decide } from "../../decide/decide.ts";
import { sameData } from "../../model/equal.ts";
import type { Plan, Step } from "../../model/plan.ts";
import packageJson from "../../../package.json" with { type: "json" };
import { type DecisionRecord, toldPlan } from "../../observe/decision-record.ts";
import { readDecision } from "../../observe/read-decision.ts";
import type { Outcome } from "../cli-world.ts";
import type { CommandContext } from "../command-context.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";

/** Decides again from the record, prints the plan, and says whether it is the one that was recorded. */
export function replay(context: CommandContext, path: string): ExitCode {
  const text = context.world.readFile(path);
  if (!text.ok) return context.fail(text.message);
  const read = readDecision(text.value);
  if (!read.ok)
    return context.fail(
      `${path} is no recorded decision: ${read.why}. Take one anew from /decisions?id=N of the operator`,
    );
  const { record } = read;
  const again = decidedAgain(record);
  if (!again.ok)
    return context.fail(
      `${path} cannot be decided again by ${packageJson.version}: ${again.message}. ${recordedBy(record)}, or it was edited`,
    );
  const plan = again.value;
  const identical = sameData(toldPlan(plan), toldPlan(record.plan));
  const at = new Date(record.now.wallMs).toISOString();
  if (context.json) {
    context.printJson({
      at,
      recordedBy: record.version,
      replayedBy: packageJson.version,
      identical,
      plan: toldPlan(plan),
      ...(identical ? {} : { recorded: toldPlan(record.plan) }),
    });
    return identical ? EXIT.ok : EXIT.attention;
  }
  const { paint } = context;
  const verdict = identical
    ? paint("good", "the identical plan")
    : paint("bad", `another plan than the recorded one: ${whyOther(record)}`);
  context.print(`Decided ${at}, decided again: ${verdict}\n`);
  for (const [node, { kind }] of plan.verdicts)
    if (kind !== "healthy") context.print(`  ${node} is ${kind}\n`);
  context.print(lines("Steps", plan.steps.map(stepText)));
  context.print(
    lines(
      "Refused",
      plan.refusals.map(({ about, reason, message }) => `${about} ${reason}: ${message}`),
    ),
  );
  if (!identical) context.print(lines("Recorded steps", record.plan.steps.map(stepText)));
  return identical ? EXIT.ok : EXIT.attention;
}

/** Decides; a record that was edited deep inside may hold what no rule can read. */
function decidedAgain({ snapshot, policy, now }: DecisionRecord): Outcome<Plan> {
  try {
    return { ok: true, value: decide(snapshot, policy, now) };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}

function recordedBy({ version }: DecisionRecord): string {
  return version === undefined ? "Recorded by a version that does not say which" : `Recorded by ${version}`;
}

function whyOther(record: DecisionRecord): string {
  const { version } = packageJson;
  return record.version === version
    ? `${version} recorded it, too, so the file was changed since; if it was not, please report it`
    : `${recordedBy(record).toLowerCase()}, and ${version} decides differently`;
}

function lines(title: string, all: readonly string[]): string {
  return `${title}${all.length === 0 ? ": none" : ":"}\n${all.map((line) => `  ${line}\n`).join("")}`;
}

function stepText(step: Step): string {
  switch (step.kind) {
    case "OpenFencing":
      return `OpenFencing ${step.node}: ${step.message}`;
    case "Fence":
      return `Fence ${step.fencing.nodeName} with ${step.level.name}${step.mayPowerOff ? "" : " (reading its power state only)"}`;
    case "WriteProtection":
      return `WriteProtection ${step.protection.key}`;
    default: {
      if ("vmKey" in step) return `${step.kind} ${step.vmKey}`;
      if ("fencing" in step) return `${step.kind} ${step.fencing.name}`;
      if ("node" in step) return `${step.kind} ${step.node}`;
      if ("drill" in step) return `${step.kind} ${step.drill.name}`;
      if ("run" in step) return `${step.kind} ${step.run}`;
      return `${step.kind} ${step.name}`;
    }
  }
}

// `npm run scenario`: runs scenarios from any folder, compares them with what is expected of them, or prints their facts.
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { compared } from "./expectation.ts";
import type { ScenarioFacts } from "./facts.ts";
import { runScenario } from "./run-scenario.ts";
import { readScenario, scenarioFolders } from "./scenario.ts";
import { timelineOf } from "./timeline.ts";

const HELP = `npm run scenario -- [OPTIONS] DIR…

Runs each scenario: a DIR with world.yaml and script.yaml, or all such folders right below DIR. The unchanged operator runs
in a simulated cluster in virtual time; the outcome is compared with timeline.expect. A missing one is recorded.

  -o json     print the facts of every run as one JSON list, and leave timeline.expect alone
  --story     print the timeline of every run
  --update    record changed timelines anew (what a script's "must" says still has to hold)
  --help      this text

Exit codes: 0 all as expected, 1 something differs or must not be, 2 a scenario cannot be read.
The format: docs/scenarios.md
`;
const FAILED = 1;
const UNUSABLE = 2;

function options() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        output: { type: "string", short: "o" },
        story: { type: "boolean", default: false },
        update: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

async function main(): Promise<number> {
  const parsed = options();
  if ("problem" in parsed) return unusable([parsed.problem]);
  const { values, positionals } = parsed;
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (values.output !== undefined && values.output !== "json")
    return unusable([`-o ${values.output}: there is only -o json`]);
  if (positionals.length === 0) return unusable(["no folder was named; see --help"]);
  const isJson = values.output === "json";
  const all: ScenarioFacts[] = [];
  let exitCode = 0;
  for (const given of positionals) {
    const folders = scenarioFolders(fromWhereAsked(given));
    if (folders.length === 0)
      exitCode = unusable([`${given}: no scenario is there; one has a world.yaml and a script.yaml`]);
    for (const folder of folders) {
      const read = readScenario(folder);
      if (!read.ok) {
        exitCode = unusable(read.problems);
        continue;
      }
      const facts = await runScenario(read.scenario);
      all.push(facts);
      if (values.story) process.stdout.write(`${timelineOf(facts)}\n`);
      const isFine = report(folder, facts, { update: values.update, isJson });
      if (!isFine && exitCode === 0) exitCode = FAILED;
    }
  }
  if (isJson) process.stdout.write(`${JSON.stringify(all, undefined, 2)}\n`);
  return exitCode;
}

/** npm runs scripts in the package's folder; who types a relative path means the folder he is in. */
function fromWhereAsked(folder: string): string {
  const { npm_lifecycle_event: script, INIT_CWD: asked } = process.env;
  return script === "scenario" && asked !== undefined ? resolve(asked, folder) : folder;
}

function report(
  folder: string,
  facts: ScenarioFacts,
  { update, isJson }: { readonly update: boolean; readonly isJson: boolean },
): boolean {
  for (const problem of facts.unmet) console.error(`${facts.scenario}: ${problem}`);
  const isMet = facts.unmet.length === 0;
  if (isJson) return isMet;
  const comparison = compared(folder, timelineOf(facts), { update, mayRecord: isMet });
  console.log(`${facts.scenario}: ${isMet ? comparison.kind : "broken"}`);
  if (comparison.kind !== "different") return isMet;
  for (const line of comparison.diff) console.log(`  ${line}`);
  return false;
}

function unusable(problems: readonly string[]): number {
  for (const problem of problems) console.error(problem);
  return UNUSABLE;
}

process.exitCode = await main();

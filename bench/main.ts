// `npm run bench`: runs the benchmarks one after the other and shows every figure beside its budget.
import { cpus, loadavg } from "node:os";
import { BENCHES } from "./benches.ts";
import { helpText, readOptions } from "./options.ts";
import { type Line, renderJson, renderTable } from "./table.ts";

const USAGE_EXIT = 64;

const FOOTNOTE = `Simulated delays inside these figures: pod start 0.3 s, guest boot 0.5 s, attach and detach of a volume 0.1 s each;
kubelets renew their Leases every 10 s to 10.4 s, as in life. "own boot" is the first two. Times between processes of this
machine are compared by its one clock, to the millisecond.`;

async function main(): Promise<number> {
  const request = readOptions(process.argv.slice(2), BENCHES);
  if (request.kind === "help") {
    console.log(helpText(BENCHES));
    return 0;
  }
  if (request.kind === "wrong") {
    console.error(`npm run bench: ${request.problem}\n\n${helpText(BENCHES)}`);
    return USAGE_EXIT;
  }
  const lines: Line[] = [];
  const failures: { readonly bench: string; readonly why: string }[] = [];
  const load = [machineLoad()];
  for (const bench of request.benches) {
    const startedMs = performance.now();
    const say = (message: string): void => {
      const seconds = Math.round((performance.now() - startedMs) / 1000);
      process.stderr.write(`${bench.name}: ${message} (${seconds} s)\n`);
    };
    try {
      say(`begins, about ${bench.minutes} min`);
      lines.push(...(await bench.run({ progress: say, windows: request.windows })));
    } catch (error) {
      failures.push({ bench: bench.name, why: error instanceof Error ? error.message : String(error) });
      say(`could not be measured: ${failures.at(-1)?.why}`);
    }
    load.push(machineLoad());
  }
  const machine = { cpus: cpus().length, model: cpus()[0]?.model.trim() ?? "", loadPerBench: load };
  if (request.json) console.log(JSON.stringify({ machine, lines: renderJson(lines), failures }, null, 2));
  else {
    console.log(`\n${renderTable(lines)}\n\n${FOOTNOTE}`);
    console.log(
      `${machine.cpus} CPUs (${machine.model}); load average before and after each: ${load.join(", ")}`,
    );
  }
  return failures.length === 0 ? 0 : 1;
}

/** One-minute load average: above the number of CPUs, times are longer than they need to be. */
function machineLoad(): number {
  return Math.round((loadavg()[0] ?? 0) * 10) / 10;
}

process.exitCode = await main();
process.exit();

// `npm run sim:mutations`: breaks one guard of the operator at a time, in a bundled copy in a temporary folder, and says how
// many histories it took until the simulation noticed: one that the unbroken operator fails, too, does not count. Exit
// code 1 where it did not.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build, type Plugin } from "esbuild";
import { type Mutation, MUTATIONS } from "./mutation-list.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** Bundled CommonJS packages ask for Node's own modules. */
const BANNER = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    seeds: { type: "string", default: "2000" },
    from: { type: "string", default: "1" },
    jobs: { type: "string", default: "2" },
  },
});

interface Verdict {
  readonly histories: number;
  /** The first line that says what was broken; undefined where nothing was noticed. */
  readonly noticed: string | undefined;
}

async function main(): Promise<void> {
  const chosen = MUTATIONS.filter(({ name }) => values.only === undefined || name.includes(values.only));
  const folder = await mkdtemp(join(tmpdir(), "holdfast-mutations-"));
  let missed = 0;
  console.log("| guard that was broken | histories | noticed as |\n|---|---|---|");
  try {
    for (const mutation of chosen) {
      const outdated = await outdatedIn(mutation);
      if (outdated !== undefined) {
        missed += 1;
        console.log(`| ${mutation.name} | - | **out of date**: ${outdated} |`);
        continue;
      }
      const verdict = await tried(mutation, folder);
      if (verdict.noticed === undefined) missed += 1;
      // The whole of it for who mends the operator; the check alone for the table.
      if (verdict.noticed !== undefined) console.error(`${mutation.name}: ${verdict.noticed}`);
      const [check = "**not noticed**"] = verdict.noticed?.split(", at ") ?? [];
      console.log(`| ${mutation.name} | ${verdict.histories} | ${check} |`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  console.log(`${chosen.length - missed} of ${chosen.length} mutations were noticed`);
  process.exitCode = missed > 0 ? 1 : 0;
}

/** The file whose text has changed, so that the mutation is not what it says; undefined where all is there exactly once. */
async function outdatedIn({ edits }: Mutation): Promise<string | undefined> {
  for (const { file, find } of edits)
    if ((await readFile(join(ROOT, file), "utf8")).split(find).length !== 2) return file;
  return undefined;
}

async function bundled(mutation: Pick<Mutation, "edits">, outfile: string): Promise<string> {
  await build({
    entryPoints: [join(ROOT, "test/sim/main.ts")],
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    logLevel: "error",
    outfile,
    banner: { js: BANNER },
    plugins: [broken(mutation)],
  });
  return outfile;
}

async function tried(mutation: Mutation, folder: string): Promise<Verdict> {
  const program = await bundled(mutation, join(folder, "broken.mjs"));
  const { from, seeds, jobs } = values;
  const run = ["--from", from, "--seeds", seeds, "--jobs", jobs, "--stop-at-failure"];
  const output = await outputOf([program, "--no-shrink", ...run]);
  const line = output
    .split("\n")
    .find((one) => /^ {2}\S/.test(one))
    ?.trim();
  const crash = /^\w*Error.*$/m.exec(output)?.[0];
  const failed = [...output.matchAll(/^FAILED seed (\d+)/gm)].map(([, seed]) => Number(seed));
  const last = failed.length === 0 ? Number(values.seeds) : Math.min(...failed) - Number(values.from) + 1;
  for (const seed of failed) {
    const unbroken = await bundled({ edits: [] }, join(folder, "unbroken.mjs"));
    const told = await outputOf([unbroken, "--no-shrink", "--seed", String(seed)]);
    if (/^FAILED/m.test(told)) throw new Error(`seed ${seed} fails unbroken, too: mend that first\n${told}`);
  }
  return { histories: crash === undefined ? last : 1, noticed: (line ?? crash)?.slice(0, MAX_NOTICE_CHARS) };
}

const MAX_NOTICE_CHARS = 160;

/** The source files with their edits, as the bundle gets them. */
function broken({ edits }: Pick<Mutation, "edits">): Plugin {
  return {
    name: "mutation",
    setup: (bundler) => {
      for (const file of new Set(edits.map((edit) => edit.file))) {
        const filter = new RegExp(`${join(ROOT, file).replaceAll(/[.\\+*?[^\]$(){}|]/g, "\\$&")}$`);
        bundler.onLoad({ filter }, async ({ path }) => {
          let text = await readFile(path, "utf8");
          for (const edit of edits.filter((one) => one.file === file)) {
            text = text.replace(edit.find, () => edit.replace);
          }
          return { contents: text, loader: "ts" };
        });
      }
    },
  };
}

function outputOf(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.once("error", reject);
    child.once("exit", () => resolve(output));
  });
}

await main();

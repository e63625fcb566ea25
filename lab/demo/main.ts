// `npm run demo`: Holdfast's main job on a real control plane, told as it happens, checked, and summed up.
import { writeFileSync } from "node:fs";
import { Checks } from "./checks.ts";
import { renderTable, rowsOf } from "./closing-table.ts";
import { drill } from "./drill.ts";
import { HELP, readOptions, type DemoOptions } from "./options.ts";
import { setStage, type Stage } from "./stage.ts";
import { cordon, epilogue, failback, partition, powerLoss, standingVerdicts } from "./stories.ts";
import { Timeline } from "./timeline.ts";
import { deadFirstLevel } from "./two-levels.ts";

const USAGE_EXIT = 64;
const STORIES = [standingVerdicts, cordon, failback, powerLoss, partition, deadFirstLevel, drill, epilogue];

async function main(): Promise<number> {
  const request = readOptions(process.argv.slice(2));
  if (request.kind === "help") {
    console.log(HELP);
    return 0;
  }
  if (request.kind === "wrong") {
    console.error(`npm run demo: ${request.problem}\n\n${HELP}`);
    return USAGE_EXIT;
  }
  const timeline = new Timeline(process.stdout);
  const checks = new Checks(timeline);
  const stage = await setStage(request.options, timeline);
  try {
    for (const story of STORIES) await story(stage, checks);
    close(stage, checks, request.options);
    if (request.options.keep) await keep(stage);
  } finally {
    await stage.stop();
  }
  return checks.ok ? 0 : 1;
}

function close(stage: Stage, checks: Checks, options: DemoOptions): void {
  const rows = rowsOf(stage);
  const { overlaps } = stage.cluster.oracle;
  console.log(`\n${renderTable(rows)}\n`);
  console.log(
    "Seconds. detect … ready: phases of its last failover; downtime: all time in which its guest did not work, by the oracle.",
  );
  const held = checks.all.filter((check) => check.held).length;
  console.log(
    `${held} of ${checks.all.length} claims held; ${overlaps.length} overlaps. ${checks.ok ? "ok" : "NOT ok"}`,
  );
  if (options.report === undefined) return;
  const report = {
    ok: checks.ok,
    controlPlane: { version: stage.cluster.controlPlane.version },
    virtController: stage.cluster.kubevirt.kind,
    nodes: options.nodes,
    overlaps: overlaps.length,
    unsafeWrites: stage.cluster.oracle.unsafeWrites.length,
    claims: checks.all,
    vms: rows,
    events: stage.timeline.events,
  };
  writeFileSync(options.report, `${JSON.stringify(report, null, 2)}\n`);
  console.log(`Report: ${options.report}`);
}

/** Leaves everything running until somebody presses Ctrl-C, and reads a few words that a BMC's front panel would know. */
async function keep(stage: Stage): Promise<void> {
  console.log(`
The cluster goes on. In another terminal:
  export KUBECONFIG=${stage.cluster.controlPlane.kubeconfigPath}
  kubectl get nodes,havm -A        kubectl cordon node-1        kubectl get nf -w
Logs of the replicas: ${stage.replicas.map((replica) => replica.logPath).join("  ")}
Here: "off NODE", "on NODE", "cut NODE", "heal NODE", "hang NODE"; Ctrl-C or "quit" ends it all.`);
  const { createInterface } = await import("node:readline/promises");
  const lines = createInterface({ input: process.stdin });
  process.once("SIGINT", () => lines.close());
  for await (const line of lines) {
    if (line.trim() === "quit") break;
    console.log(await obey(stage, line.trim()));
  }
  lines.close();
}

async function obey(stage: Stage, line: string): Promise<string> {
  const [word = "", name = ""] = line.split(/\s+/);
  const node = stage.cluster.fleet.nodes.find((one) => one.name === name);
  if (node === undefined)
    return `say "off|on|cut|heal|hang NODE" with one of ${stage.cluster.fleet.nodes.map((one) => one.name).join(", ")}`;
  const deeds: Readonly<Record<string, () => void | Promise<void>>> = {
    off: () => node.power.off(),
    on: () => node.power.on(),
    cut: () => node.cutApi(),
    heal: () => node.healApi(),
    hang: () => node.hang(),
  };
  const deed = deeds[word];
  if (deed === undefined) return `"${word}" is none of off, on, cut, heal, hang`;
  await deed();
  return `${word} ${name}: done`;
}

process.exitCode = await main().catch((error: unknown) => {
  console.error(
    `The demo could not be played: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
  );
  return 1;
});
process.exit();

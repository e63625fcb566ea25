// FailoverDrill as the plugin reads and words it: a probe from a few words, and a result as a table.
import { failoverDrill, type FailoverDrill } from "../api/failover-drill.ts";
import type { ApiOutcome, ApiTransport } from "../kube/transport.ts";
import type { Outcome } from "./cli-world.ts";
import { listAll, ownPath } from "./objects.ts";
import { type Paint, table, type Tone } from "./terminal.ts";

export const DRILLS = "failoverdrills";

type Status = NonNullable<FailoverDrill["status"]>;
type Probe = NonNullable<FailoverDrill["spec"]["probes"]>[number];

/** Every FailoverDrill that can be read, by name. */
export async function readDrills(transport: ApiTransport): Promise<ApiOutcome<readonly FailoverDrill[]>> {
  const listed = await listAll<object>(transport, ownPath(DRILLS));
  if (!listed.ok) return listed;
  const drills = listed.value.flatMap((raw) => {
    // Items of a list carry neither.
    const parsed = failoverDrill.stored.safeParse({
      ...raw,
      apiVersion: "holdfast.dev/v1alpha1",
      kind: "FailoverDrill",
    });
    return parsed.success ? [parsed.data] : [];
  });
  return {
    ok: true,
    status: 200,
    value: drills.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1)),
  };
}

/** What a drill is about, in short. */
export function targetText({ spec }: FailoverDrill): string {
  const { virtualMachine, nodeName } = spec;
  return virtualMachine === undefined
    ? (nodeName ?? "")
    : `${virtualMachine.namespace}/${virtualMachine.name}`;
}

const TONES: Readonly<Record<Status["phase"], Tone>> = {
  Pending: "plain",
  Running: "plain",
  Passed: "good",
  Failed: "bad",
  Inconclusive: "warn",
  Refused: "warn",
  Interrupted: "warn",
};

/** Whether the last series of the drill did not show what it was to show. */
export function needsAttention({ status }: FailoverDrill): boolean {
  const tone = TONES[status?.phase ?? "Pending"];
  return tone === "bad" || tone === "warn";
}

/** One line for each drill. */
export function listText(paint: Paint, drills: readonly FailoverDrill[]): string {
  const rows = drills.map((drill) => {
    const { phase = "Pending", runs = [], statistics = [], lastPassedAt, nextRunAt } = drill.status ?? {};
    return [
      drill.metadata.name,
      drill.spec.type,
      targetText(drill),
      { text: phase, tone: TONES[phase] },
      `${runs.at(-1)?.number ?? 0} of ${drill.spec.runs}`,
      msText(Math.max(...statistics.map(({ longestOutageMs }) => longestOutageMs))),
      lastPassedAt ?? "never",
      nextRunAt ?? "-",
    ];
  });
  const header = ["drill", "type", "target", "phase", "run", "longest outage", "last passed", "next"];
  return table(paint, header, rows);
}

/** Everything about one drill: each run, and what they amount to. */
export function drillText(paint: Paint, drill: FailoverDrill): string {
  const { phase = "Pending", message = "", runs = [], statistics = [] } = drill.status ?? {};
  const { recoveryTime, outageBudget } = drill.spec.promise ?? {};
  const promised = [
    recoveryTime === undefined ? "" : `back within ${recoveryTime}`,
    outageBudget === undefined ? "" : `at most ${outageBudget} away in a run`,
  ].filter((part) => part !== "");
  const head = [
    `${paint("strong", drill.metadata.name)}: ${drill.spec.type} of ${targetText(drill)}, ${paint(TONES[phase], phase)}`,
    ...(message === "" ? [] : [message]),
    `Promised: ${promised.length === 0 ? "that it comes back" : promised.join(", ")}`,
  ];
  const each = runs.flatMap((run) =>
    run.measures.map((measure) => [
      `${run.number}`,
      { text: run.outcome, tone: TONES[run.outcome] },
      measure.name,
      `${measure.lost} of ${measure.sent}`,
      msText(measure.outageMs),
      msText(measure.longestOutageMs),
      msText(measure.convergenceMs),
    ]),
  );
  const all = statistics.map((one) => [
    one.name,
    `${one.runs}`,
    `${one.lost} of ${one.sent}`,
    meanText(one.outage),
    intervalText(one.outage),
    msText(one.longestOutageMs),
    one.convergence === undefined ? "-" : `${meanText(one.convergence)} (${one.converged} of ${one.runs})`,
  ]);
  return [
    `${head.join("\n")}\n`,
    each.length === 0
      ? ""
      : table(paint, ["run", "outcome", "measure", "lost", "outage", "longest", "stable after"], each),
    all.length === 0
      ? ""
      : table(
          paint,
          ["measure", "runs", "lost", "outage", "95 % of the mean", "longest", "stable after"],
          all,
        ),
  ]
    .filter((part) => part !== "")
    .join("\n");
}

type Mean = NonNullable<Status["statistics"]>[number]["outage"];

function meanText({ meanMs, standardDeviationMs }: Mean): string {
  return standardDeviationMs === undefined ? msText(meanMs) : `${meanMs} ± ${standardDeviationMs} ms`;
}

function intervalText({ lowMs, highMs }: Mean): string {
  return lowMs === undefined || highMs === undefined ? "-" : `${lowMs} to ${highMs} ms`;
}

function msText(ms: number | undefined): string {
  return ms === undefined || !Number.isFinite(ms) ? "-" : `${ms} ms`;
}

const PROBE = /^(udp|tcp|http|transfer):(\d{1,5})(?::(\d{1,4}))?(\/\S*)?$/;
const TYPES = { udp: "UDP", tcp: "TCP", http: "HTTP", transfer: "Transfer" } as const;

/** Reads `udp:7`, `udp:7:1000`, `tcp:22`, `http:80/healthz`, `transfer:80/file`; which of them go together the schema says. */
export function parseProbe(text: string): Outcome<Probe> {
  const match = PROBE.exec(text);
  if (match === null)
    return {
      ok: false,
      message: `--probe ${text}: wanted udp:PORT[:RATE], tcp:PORT, http:PORT[/PATH] or transfer:PORT[/PATH]`,
    };
  const [, kind = "", port = "", rate, path] = match;
  return {
    ok: true,
    value: {
      name: `${kind}-${port}${rate === undefined ? "" : `-${rate}`}`,
      type: TYPES[kind as keyof typeof TYPES],
      port: Number(port),
      ...(rate === undefined ? {} : { packetsPerSecond: Number(rate) }),
      ...(path === undefined ? {} : { path }),
    },
  };
}

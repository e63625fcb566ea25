// `report`: how available each VM, each namespace and the fleet have been, against what was promised.
import type { CommandContext } from "../command-context.ts";
import type { Command } from "../command.ts";
import { FROM_FLAG } from "../flag.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { readOperatorLease } from "../operator-lease.ts";
import { type AvailabilityReport, availabilityReport } from "../report/availability-report.ts";
import { renderHTML } from "../report/report-html.ts";
import { renderCSV, renderReport } from "../report/report-text.ts";
import { MAX_WINDOW_DAYS } from "../../model/availability.ts";

export const report: Command = {
  name: "report",
  summary: "How available VMs have been, against what was promised: text, json, csv or html.",
  about: [
    "Reads the accounts that the operator keeps in status.availability, and works out for a window: availability, nines, downtime (unplanned, planned, unobserved), MTTR, the error budget that is left and the verdict on the promise, per VM, namespace and for all together; and each outage with its phases.",
    "Unobserved time (the operator was not running, or could not see) is neither up nor down, and shown. Without --days each VM is judged in its own window.",
    "-o html makes one file that needs nothing else and prints well.",
  ],
  args: [],
  flags: [
    FROM_FLAG,
    {
      name: "days",
      value: "NUMBER",
      help: `The last so many days, today among them; at most ${MAX_WINDOW_DAYS}.`,
    },
    { name: "all-namespaces", short: "A", help: "All namespaces; so, too, where -n is not given." },
    { name: "all", help: "Leave nothing out of the text." },
    {
      name: "output",
      short: "o",
      value: "FORMAT",
      help: "text, json, csv or html.",
      completes: ["text", "json", "csv", "html"],
    },
    { name: "to", value: "FILE", help: "Write it there." },
  ],
  examples: [
    ["kubectl holdfast report", "the worst VMs first"],
    ["kubectl holdfast report --days=30 -n shop", "one namespace, thirty days"],
    ["kubectl holdfast report -o html --to=availability.html", "to send, or to print"],
    ["kubectl holdfast report -o json | jq '.vms[] | select(.verdict==\"Violated\").vm'", "broken promises"],
  ],
  exits: ["0  every promise is met", "3  a promise is violated"],
  run: async (context) => {
    const days = context.value("days");
    const windowDays = days === undefined ? undefined : Number(days);
    if (
      windowDays !== undefined &&
      !(Number.isInteger(windowDays) && windowDays >= 1 && windowDays <= MAX_WINDOW_DAYS)
    )
      return context.fail(
        `--days: found ${days ?? ""}; allowed: a whole number from 1 to ${MAX_WINDOW_DAYS}`,
        EXIT.usage,
      );
    const look = await context.look();
    if (!look.ok) return context.fail(look.message);
    const { transport, server, snapshot, now } = look.value;
    const operator = await readOperatorLease(transport, context.holdfastNamespace, snapshot);
    const lastMs = Date.parse(operator.lastRenewedAt ?? "");
    const blind =
      operator.state === "leading" || Number.isNaN(lastMs) ? [] : [{ fromMs: lastMs, toMs: now.wallMs }];
    const made = availabilityReport(snapshot, {
      nowMs: now.wallMs,
      server,
      windowDays,
      namespace: context.has("all-namespaces") ? undefined : context.value("namespace"),
      unobserved: [...(operator.gaps ?? []), ...blind],
    });
    return tell(context, made);
  },
};

function tell(context: CommandContext, made: AvailabilityReport): ExitCode {
  const text = rendered(context, made);
  const path = context.value("to");
  if (path === undefined) context.print(text);
  else {
    const written = context.world.writeFile(path, text);
    if (!written.ok) return context.fail(written.message);
    context.print(`Report on ${made.fleet.vms} VMs written to ${path}\n`);
  }
  return made.fleet.verdicts.Violated > 0 ? EXIT.attention : EXIT.ok;
}

function rendered(context: CommandContext, made: AvailabilityReport): string {
  switch (context.value("output")) {
    case "json":
      return `${JSON.stringify(made, undefined, 2)}\n`;
    case "csv":
      return renderCSV(made);
    case "html":
      return renderHTML(made);
    default:
      return renderReport(context, made, context.has("all"));
  }
}

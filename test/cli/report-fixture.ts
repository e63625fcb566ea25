// Accounts for the report, with figures worked out by hand. The clock of the reader is the real one, so times are told from it.
import { Dump } from "./dump.ts";

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

const NOON_MS = Math.floor(Date.now() / DAY_MS) * DAY_MS - 2 * DAY_MS + DAY_MS / 2;

/** RFC 3339, relative to the noon two days ago. */
export const at = (offsetMs: number): string => new Date(NOON_MS + offsetMs).toISOString();

/** The local date of that noon. */
export const DAY = at(0).slice(0, 10);

interface Words {
  readonly unplannedMin?: number;
  readonly plannedMin?: number;
  readonly unobservedMin?: number;
  readonly objective?: string;
  readonly phases?: boolean;
}

function account({ unplannedMin = 0, plannedMin = 0, unobservedMin = 0 }: Words): object {
  const days =
    unplannedMin + plannedMin + unobservedMin === 0
      ? []
      : [
          {
            day: DAY,
            unplannedMs: unplannedMin * MINUTE_MS,
            plannedMs: plannedMin * MINUTE_MS,
            unobservedMs: unobservedMin * MINUTE_MS,
            outages: unplannedMin > 0 ? 1 : 0,
            plannedOutages: plannedMin > 0 ? 1 : 0,
          },
        ];
  const ended = { until: at(unplannedMin * MINUTE_MS), node: "node-2" };
  const recent =
    unplannedMin === 0 ? [] : [{ cause: "NodeLost", class: "Unplanned", since: at(0), ...ended }];
  return { since: at(-120 * DAY_MS), until: at(DAY_MS), recent, days, totals: [], burntMs: 0 };
}

/** One VM with its account in a cluster of its own making. */
function counted(dump: Dump, name: string, words: Words, namespace = "shop"): Dump {
  const outages = words.phases
    ? [
        {
          cause: "NodeLost",
          fromNode: "node-2",
          toNode: "node-1",
          vmiUID: "old",
          lastGoodAt: at(0),
          lostAt: at(22_000),
          provedAt: at(26_000),
          releasedAt: at(26_500),
          scheduledAt: at(28_000),
          runningAt: at(40_000),
          readyAt: at(60_000),
        },
      ]
    : [];
  return dump.add(
    {
      apiVersion: "kubevirt.io/v1",
      kind: "VirtualMachine",
      metadata: { name, namespace, uid: `vm-${namespace}-${name}` },
      spec: { runStrategy: "Always" },
    },
    {
      apiVersion: "holdfast.dev/v1alpha1",
      kind: "HAVirtualMachine",
      metadata: { name, namespace, uid: `havm-${namespace}-${name}` },
      spec: {
        virtualMachineName: name,
        ...(words.objective === undefined ? {} : { availability: { objective: words.objective } }),
      },
      status: { availability: account(words), outages },
    },
  );
}

/** Two namespaces: one VM that broke its promise, one that kept it, one that was drained, one that nobody saw for a while. */
export function countedShop(): Dump {
  const dump = new Dump().node("node-1").node("node-2").operator();
  counted(dump, "db", { unplannedMin: 144, objective: "99.9", phases: true });
  counted(dump, "web", { unplannedMin: 1, plannedMin: 10, objective: "99.9" });
  counted(dump, "batch", { plannedMin: 30 });
  counted(dump, "mail", { unobservedMin: 60, objective: "99" }, "office");
  return dump.vm("young", { promise: {} });
}

// The leader is stopped at every write of a failover, and between a fence device and the ledger; or cut off and left to act
// on what it no longer has the right to. Each time the other replica finishes, and no harmful step is done twice.
import { expect, test } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import type { ElectionTimings } from "../../src/run/election-timings.ts";
import type { Fencing } from "../../lab/demo/holdfast-view.ts";
import { LONG_MS } from "../support/holdfast-lab.ts";
import { FAST_DELAYS, type OperatorRig, useOperatorRig } from "../support/operator-rig.ts";
import type { SentRequest, WriteFate } from "../support/replica-life.ts";

const POOL = { pool: "vms" };
/** The VMs can be on either of two nodes, so that a failover takes them from the one to the other. */
const rig = useOperatorRig({
  nodes: [{ labels: POOL }, { labels: POOL }, {}],
  delays: { ...FAST_DELAYS, leaseRenewMs: 500, nodeBootMs: 200 },
  policy: { nodeSuspectAfterMs: 1_800, nodeLostAfterMs: 3_000 },
});
/** There are many failovers here, and each waits for a new leader. */
const TIMINGS: ElectionTimings = { leaseDurationMs: 2_000, renewDeadlineMs: 1_400, retryPeriodMs: 400 };

const TOPOLOGY = "/apis/holdfast.dev/v1alpha1/fencingtopologies/bmc";

/** More writes than a failover of two VMs could ever need. */
const MAX_WRITES = 40;
const MANY_FAILOVERS = { failover: { maxRestarts: 100, restartOnce: true } };
/** Each needs a step of its own after the release: a start call, and the deletion of its ended instance. */
const VMS = [
  { name: "desk", runStrategy: "Manual", nodeSelector: POOL, promise: { priority: 900, ...MANY_FAILOVERS } },
  { name: "job", runStrategy: "Once", nodeSelector: POOL, promise: { priority: 100, ...MANY_FAILOVERS } },
] as const;

test("killed before any one write of a failover, the other replica finishes it, and fences the node no second time", {
  timeout: 600_000,
}, async () => {
  const story = await FailoverStory.begin(rig());
  // One failover for each write: the first that nobody was killed at before, until there is none. By what a write says
  // and not by its number, since the order of those that are under way at once varies.
  const killedAt = new Set<string>();
  for (let failovers = 0; failovers < MAX_WRITES; failovers++) {
    const { befell } = await story.failOver((write) =>
      killedAt.has(meaningOf(write)) || isRepeatedEvent(write) ? undefined : "dieBefore",
    );
    if (befell === undefined) break;
    killedAt.add(meaningOf(befell));
  }
  // How many nodes could be fenced now is told beside the failover, and only sometimes within it; the next test sees to it.
  killedAt.delete("PATCH bmc/status");
  expect([...killedAt].sort()).toEqual([
    "DELETE pod of desk",
    "DELETE pod of job",
    "DELETE virtualmachineinstances/job",
    "PATCH desk/status to say that all is well",
    "PATCH desk/status to say that it recovers",
    "PATCH job/status to say that all is well",
    "PATCH job/status to say that it recovers",
    "PATCH ledger to Fenced, attempt PoweredOff",
    "PATCH ledger to Fencing, attempt Started",
    "PATCH ledger to Released, attempt PoweredOff",
    "PATCH ledger to Returned, attempt PoweredOff",
    "PATCH node to have no taint",
    "PATCH node to have our taint",
    "POST events NodeFenced",
    "POST events NodeLost",
    "POST events NodeReturned",
    "POST nodefencings",
    "PUT desk/start",
  ]);
});

test("killed before it says what became of a topology that was changed in mid-failover, the other replica says so and finishes", async () => {
  const story = await FailoverStory.begin(rig());
  const { befell } = await story.failOver((write) => {
    if (write.method === "POST" && write.path.endsWith("/nodefencings"))
      void rig().patch(TOPOLOGY, { spec: { precedence: 7 } });
    return meaningOf(write) === "PATCH bmc/status" ? "dieBefore" : undefined;
  });
  expect(befell).toBeDefined();
  await waitFor(
    "the topology's status is of its newest generation",
    async (saw) => {
      const read = await rig().admin.request<ChangedTopology>({ method: "GET", path: TOPOLOGY });
      saw(read);
      if (!read.ok) return undefined;
      const { metadata, status } = read.value;
      return status?.observedGeneration === metadata.generation || undefined;
    },
    LONG_MS,
  );
});

test("killed after the device was asked and before the ledger knows, it is not asked again once the node is back", async () => {
  const story = await FailoverStory.begin(rig());
  for (const kind of ["off", "on"] as const) {
    await story.failOver(() => undefined, kind);
  }
});

test("operator restart in mid-fence: killed right after an attempt is on record, the next leader closes it and makes its own", async () => {
  const story = await FailoverStory.begin(rig());
  const { befell, fencing } = await story.failOver((write) => (isAttempt(write) ? "dieAfter" : undefined));
  expect(befell).toBeDefined();
  expect(fencing.status?.attempts).toMatchObject([
    { number: 1, outcome: "Abandoned", answer: "the leader changed before it knew the outcome" },
    { number: 2, outcome: "PoweredOff" },
  ]);
  const [first, second] = fencing.status?.attempts ?? [];
  expect(second?.epoch).toBeGreaterThan(first?.epoch ?? Number.NaN);
});

test("cut off in mid-fence and heard again long after, the old leader's late writes are refused", {
  timeout: 240_000,
}, async () => {
  const story = await FailoverStory.begin(rig());
  const moments: readonly ((write: SentRequest) => boolean)[] = [
    isAttempt,
    isProof,
    ({ path }) => path.startsWith("/api/v1/nodes/"),
    ({ method, path }) => method === "DELETE" && path.includes("/pods/"),
  ];
  for (const moment of moments) {
    const { fencing, cutOff } = await story.failOver((write) => (moment(write) ? "cutBefore" : undefined));
    const late = (await cutOff?.life.deliverLate()) ?? [];
    const ours = late.filter(({ request }) => !request.path.includes("/leases"));
    expect(ours).not.toEqual([]);
    for (const { request, outcome } of ours) {
      expect(outcome, `${request.method} ${request.path}`).toMatchObject({ ok: false });
      expect(outcome.ok ? "" : outcome.kind).toMatch(/conflict|notFound/);
    }
    cutOff?.life.heal();
    expect(rig().view.fencings.get(fencing.metadata.name)?.status).toEqual(fencing.status);
    await story.untilSettled();
  }
});

interface ChangedTopology {
  readonly metadata: { readonly generation: number };
  readonly status?: { readonly observedGeneration?: number };
}

interface Failover {
  /** The write at which something befell a replica; undefined where the failover had fewer. */
  readonly befell: SentRequest | undefined;
  /** The replica that was cut off, if any. */
  readonly cutOff: ReturnType<OperatorRig["startReplica"]> | undefined;
  readonly fencing: Fencing;
}

/** Two VMs that are driven from one node to the other by failovers, with two replicas at all times. */
class FailoverStory {
  readonly #rig: OperatorRig;
  readonly #keys: readonly string[];
  #gathered = 0;

  private constructor(rig: OperatorRig, keys: readonly string[]) {
    this.#rig = rig;
    this.#keys = keys;
  }

  static async begin(rig: OperatorRig): Promise<FailoverStory> {
    const keys = await rig.createRunning(...VMS.map((vm) => ({ ...vm, on: "node-1" })));
    rig.startReplica({ timings: TIMINGS });
    const story = new FailoverStory(rig, keys);
    await story.untilSettled();
    return story;
  }

  /** One failover from a hung node, with `fateOf` deciding at each write, whoever leads, and its number in this failover. */
  async failOver(
    fateOf: (write: SentRequest, number: number) => WriteFate | undefined,
    dieAtDevice?: "off" | "on",
  ): Promise<Failover> {
    this.#addReplicas();
    await this.#gather();
    const victim = this.#rig.nodeOf(this.#keys[0] ?? "") ?? "";
    const resetsBefore = this.#rig.resets(victim).length;
    const runsBefore = this.#runs();
    const fate = this.#arm(fateOf, dieAtDevice);
    this.#rig.node(victim).hang();
    await this.#untilRestarted(victim, runsBefore);
    const fencing = await this.#rig.untilReturned(victim);
    await this.untilSettled();
    for (const { life } of this.#rig.replicas) life.fateOf = () => undefined;
    expect(this.#runs(), "each VM is restarted once").toEqual(runsBefore.map((runs) => runs + 1));
    this.#expectOneShot(victim, resetsBefore);
    return { ...fate, fencing };
  }

  /** Waits until both VMs are up, on the same node, and said to be fully protected. */
  async untilSettled(): Promise<void> {
    await this.#rig.untilUp(this.#keys);
    for (const key of this.#keys) {
      await this.#rig.untilPromise(key, "settled", ({ status }) => {
        const available = status?.conditions?.find(({ type }) => type === "Available");
        return available?.status === "True" && status?.failover === undefined;
      });
    }
  }

  #addReplicas(): void {
    const able = this.#rig.replicas.filter(({ life }) => !life.dead);
    for (let count = able.length; count < 2; count++) this.#rig.startReplica({ timings: TIMINGS });
  }

  #arm(fateOf: (write: SentRequest, number: number) => WriteFate | undefined, dieAtDevice?: "off" | "on") {
    const fate: { befell: SentRequest | undefined; cutOff: Failover["cutOff"] } = {
      befell: undefined,
      cutOff: undefined,
    };
    let number = 0;
    for (const replica of this.#rig.replicas) {
      const { life } = replica;
      life.fateOf = (write) => {
        number += 1;
        const what = fate.befell === undefined ? fateOf(write, number) : undefined;
        if (what !== undefined) fate.befell = write;
        if (what === "cutBefore") fate.cutOff = replica;
        return what;
      };
      life.onDeviceRequest = (kind) => {
        if (kind !== dieAtDevice) return;
        dieAtDevice = undefined;
        life.die();
      };
    }
    return fate;
  }

  /** Both VMs have been started once more and are up; on the same node, where that is back so soon. */
  async #untilRestarted(victim: string, runsBefore: readonly number[]): Promise<void> {
    await waitFor(
      "the VMs are up again",
      (saw) => {
        const { state } = this.#rig.node(victim);
        saw([
          `${victim} is ${state}`,
          ...this.#keys.map((key) => [
            key,
            this.#rig.nodeOf(key),
            this.#rig.view.protections.get(key)?.status,
          ]),
        ]);
        return this.#runs().every((runs, i) => runs > (runsBefore[i] ?? 0)) || undefined;
      },
      LONG_MS,
    );
    await this.#rig.untilUp(this.#keys);
  }

  /** Brings the VMs together on one node: a VM that was restarted late may have found the old node back. */
  async #gather(): Promise<void> {
    const [first = "", second = ""] = this.#keys;
    const toNode = this.#rig.nodeOf(first) ?? "";
    if (this.#rig.nodeOf(second) === toNode) return;
    this.#gathered += 1;
    await this.#rig.cluster.migrate(second, { name: `gather-${this.#gathered}`, toNode });
    await waitFor("the VMs are together", () => this.#rig.nodeOf(second) === toNode || undefined, LONG_MS);
    await this.untilSettled();
  }

  #runs(): readonly number[] {
    return this.#keys.map(
      (key) => this.#rig.cluster.oracle.history(key).filter(({ began }) => began === "boot").length,
    );
  }

  #expectOneShot(victim: string, resetsBefore: number): void {
    const resets = this.#rig.resets(victim).slice(resetsBefore);
    const log = resets.map(({ resetType, status }) => `${resetType} ${status}`);
    const carriedOut = resets.filter(({ status }) => status === 204).map(({ resetType }) => resetType);
    expect(carriedOut, log.join(", ")).toEqual(["ForceOff", "On"]);
    const firstOn = resets.findIndex(({ resetType }) => resetType === "On");
    const shotsAfter = resets.slice(firstOn).filter(({ resetType }) => resetType === "ForceOff");
    expect(shotsAfter, log.join(", ")).toEqual([]);
  }
}

/** The write that puts an attempt on record, before the device is asked. */
function isAttempt({ path, body }: SentRequest): boolean {
  return path.includes("/nodefencings/") && lastAttempt(body)?.outcome === "Started";
}

/** The write that holds the proof. */
function isProof({ path, body }: SentRequest): boolean {
  return path.includes("/nodefencings/") && (body as WriteBody).status?.proof !== undefined;
}

/** Whether an Event is counted once more, which depends on who has led lately. */
function isRepeatedEvent({ method, path }: SentRequest): boolean {
  return method === "PATCH" && path.includes("/events/");
}

/** What a write of a failover says, without the names that differ from one failover to the next. */
function meaningOf({ method, path, body }: SentRequest): string {
  const { status, spec, reason } = body as WriteBody;
  const name = path.split("/").at(-1) ?? "";
  const launcher = /^virt-launcher-(.+)-[a-z0-9]{5}$/.exec(name)?.[1];
  if (launcher !== undefined) return `${method} pod of ${launcher}`;
  if (path.includes("/nodefencings/"))
    return `${method} ledger to ${status?.phase}, attempt ${lastAttempt(body)?.outcome}`;
  if (path.startsWith("/api/v1/nodes/"))
    return `${method} node to have ${spec?.taints?.length === 0 ? "no taint" : "our taint"}`;
  if (path.endsWith("/events")) return `${method} events ${reason}`;
  const tail = path.split("/").slice(-2).join("/");
  if (path.includes("/havirtualmachines/")) {
    const says = status?.failover === undefined ? "all is well" : "it recovers";
    return `${method} ${path.split("/").at(-2)}/status to say that ${says}`;
  }
  return `${method} ${path.endsWith("/nodefencings") ? "nodefencings" : tail}`;
}

interface WriteBody {
  readonly status?: {
    readonly proof?: unknown;
    readonly phase?: string;
    readonly failover?: unknown;
    readonly attempts?: readonly { readonly outcome: string }[];
  };
  readonly spec?: { readonly taints?: readonly unknown[] };
  readonly reason?: string;
}

function lastAttempt(body: unknown) {
  return (body as WriteBody).status?.attempts?.at(-1);
}

// Kills the leader at every single request of a whole failover, from the attempt to the return, before the request arrives
// and after; then has a second leader act on fresh facts, and on every outdated state of the ledger that the first one
// had seen; on a node that is still gone, and on one that has returned meanwhile.
import { describe, expect, it } from "vitest";
import { performStep } from "../../src/act/performer.ts";
import type { ActContext } from "../../src/act/context.ts";
import { type FencingFact, type FencingStatus, parseFenceProof } from "../../src/model/fencing.ts";
import type { PodRef, Step } from "../../src/model/plan.ts";
import { ActScene, BOOT_ID, EPOCH, LEVEL, NODE, NODE_PATH } from "./act-fixture.ts";
import { FakeDevice } from "./fake-device.ts";

/** More requests than a failover ever makes; a test sees to it that it ends before. */
const MAX_REQUESTS = 60;
const SETTLE_MS = 30_000;
const AT = "2026-11-22T00:01:00.000Z";
const OLD_POD: PodRef = { namespace: "prod", name: "virt-launcher-db-x", uid: "old-pod" };
const POD_PATH = `/api/v1/namespaces/${OLD_POD.namespace}/pods/${OLD_POD.name}`;

const forever = <T>(): Promise<T> => new Promise<T>(() => {});

class World {
  readonly scene = new ActScene();
  readonly device = new FakeDevice(this.scene.clock);
  /** Every state of the ledger, as a replica's watch showed it, oldest first. */
  readonly versions: FencingFact[] = [];
  /** Harm done, in words. */
  readonly harm: string[] = [];
  epoch = EPOCH;
  returned = false;

  constructor() {
    this.scene.device = this.device;
    this.versions.push(this.scene.fencing());
    this.scene.api.objects.seed(POD_PATH, { metadata: { uid: OLD_POD.uid } });
    this.watch();
  }

  /** Judges every request that could do harm, at the moment at which it arrives. */
  watch(): void {
    this.scene.api.intercept = (request) => {
      if (request.line === `DELETE ${POD_PATH}`) this.#judgeDelete(request.body);
      return undefined;
    };
    this.device.before = (call) => {
      if (call === "off") this.#judgeOff();
    };
    this.device.after = () => {};
  }

  /** The node's machine runs again under another kernel, and a new pod of the VM has the old one's name. */
  comeBack(): void {
    this.returned = true;
    this.device.state = "On";
    this.scene.reboot();
    this.scene.api.objects.remove(POD_PATH, {});
    this.scene.api.objects.seed(POD_PATH, { metadata: { uid: "new-pod" } });
  }

  note(): void {
    const fact = this.scene.fencingFact();
    if (this.versions.at(-1)?.resourceVersion !== fact.resourceVersion) this.versions.push(fact);
  }

  get podUID(): string | undefined {
    return this.scene.api.objects.peek(POD_PATH)?.metadata.uid;
  }

  get taints(): string {
    return JSON.stringify(this.scene.api.objects.peek(NODE_PATH)?.spec?.["taints"] ?? []);
  }

  #judgeOff(): void {
    if (this.returned) this.harm.push("a node that has returned was shot");
    const last = this.scene.ledger.attempts.at(-1);
    if (last?.outcome !== "Started" || last.epoch !== this.epoch)
      this.harm.push("a shot that is not on record");
  }

  #judgeDelete(body: unknown): void {
    if (this.scene.ledger.proof?.bootID !== BOOT_ID) this.harm.push("a release without proof");
    const { preconditions } = body as { readonly preconditions?: { readonly uid?: string } };
    if (preconditions?.uid !== OLD_POD.uid) this.harm.push("a pod deleted that nobody meant");
    // Once it was asked to start again it had been off, so the incarnation with that pod is over.
    const isOver = this.device.state === "Off" || this.device.requests.includes("on");
    if (!this.returned && !isOver) this.harm.push("a release while the machine runs");
  }
}

/** What a leader does for one failover, each step from the facts it then has. */
async function failOver(world: World, context: ActContext, facts: () => FencingFact): Promise<void> {
  const perform = async (step: Step): Promise<void> => {
    await performStep(step, context);
    world.note();
  };
  const write = (change: Partial<FencingStatus>) => {
    const fencing = facts();
    return perform({ kind: "WriteFencing", fencing, status: { ...fencing.status, ...change } });
  };
  if (facts().status.proof === undefined)
    await perform({ kind: "Fence", fencing: facts(), level: LEVEL, mayPowerOff: true });
  const proof = parseFenceProof(facts(), undefined);
  if (proof === undefined) return;
  await perform({ kind: "Taint", node: NODE, proof });
  await perform({ kind: "Release", vmKey: "prod/db", pods: [OLD_POD], proof, priority: 900 });
  await write({ phase: "Released", releasedAt: AT });
  if (facts().status.phase !== "Released") return;
  await perform({ kind: "PowerOn", fencing: facts(), level: LEVEL });
  if (!world.returned && world.device.state === "On") world.comeBack();
  await perform({ kind: "Untaint", node: NODE });
  await write({ phase: "Returned", returnedAt: AT, returnedBootID: "boot-2" });
}

interface CrashPoint {
  readonly requests: number;
  /** Whether the last request arrives, and only its answer is lost. */
  readonly arrives: boolean;
}

/** The first leader's failover, cut short at that point; undefined where it ended before. */
async function crashed({ requests, arrives }: CrashPoint): Promise<World | undefined> {
  const world = new World();
  const { scene, device } = world;
  let count = 0;
  const judge = scene.api.intercept;
  const judgeCall = device.before;
  scene.api.intercept = (request) => {
    count += 1;
    if (count > requests || (count === requests && !arrives)) return forever();
    void judge(request);
    if (count < requests) return undefined;
    scene.api.answer(request);
    return forever();
  };
  device.before = (call) => {
    count += 1;
    if (count > requests || (count === requests && !arrives)) return forever();
    return judgeCall(call);
  };
  device.after = () => (count >= requests ? forever() : undefined);
  let ended = false;
  void failOver(world, scene.context(), () => scene.fencingFact()).then(() => (ended = true));
  await scene.clock.advance(SETTLE_MS);
  world.note();
  world.watch();
  return ended ? undefined : world;
}

/** The second leader, whose facts are those of `version` or, where that is undefined, as they stand. */
async function takeOver(world: World, version: number | undefined): Promise<void> {
  world.epoch = EPOCH + 1;
  const stale = version === undefined ? undefined : world.versions[version];
  const work = failOver(world, world.scene.context(EPOCH + 1), () => stale ?? world.scene.fencingFact());
  await world.scene.finish(work);
}

async function crashPoints(): Promise<readonly CrashPoint[]> {
  const points: CrashPoint[] = [];
  for (let requests = 1; requests < MAX_REQUESTS; requests++) {
    if ((await crashed({ requests, arrives: true })) === undefined) return points;
    points.push({ requests, arrives: true }, { requests, arrives: false });
  }
  throw new Error("the failover never ends by itself");
}

/** Runs every crash point, with every way the world can be afterwards. */
async function explore(
  returns: boolean,
  isStale: boolean,
  judge: (world: World, point: CrashPoint) => void,
): Promise<number> {
  let runs = 0;
  for (const point of await crashPoints()) {
    const versions = isStale ? ((await crashed(point))?.versions.length ?? 1) - 1 : 1;
    for (let version = 0; version < versions; version++) {
      const world = await crashed(point);
      if (world === undefined) throw new Error("not the same run twice");
      if (returns && !world.returned) world.comeBack();
      const shots = world.device.requests.filter((request) => request === "off").length;
      const { resourceVersion } = world.scene.fencingFact();
      await takeOver(world, isStale ? version : undefined);
      const where = `at request ${point.requests}, ${point.arrives ? "arrived" : "lost"}, ledger ${version}`;
      expect(world.harm, where).toEqual([]);
      if (world.returned) expect(world.podUID, where).not.toBe(undefined);
      if (isStale) {
        expect(world.scene.fencingFact().resourceVersion, where).toBe(resourceVersion);
        expect(
          world.device.requests.filter((request) => request === "off"),
          where,
        ).toHaveLength(shots);
      }
      judge(world, point);
      runs += 1;
    }
  }
  return runs;
}

describe("a leader killed at any request of a failover", () => {
  it("is followed by one that finishes it, and shoots no second time at a machine that is off", async () => {
    const runs = await explore(false, false, (world) => {
      expect(world.scene.ledger.phase).toBe("Returned");
      expect(world.taints).not.toContain("out-of-service");
      const { requests } = world.device;
      expect(requests.lastIndexOf("off")).toBeLessThan(requests.indexOf("on"));
    });
    expect(runs).toBeGreaterThan(40);
  });

  it("is followed by one that shoots at no node that has returned, and touches none of its new pods", async () => {
    const runs = await explore(true, false, (world) => {
      expect(world.podUID).toBe("new-pod");
      expect(world.device.state).toBe("On");
    });
    expect(runs).toBeGreaterThan(40);
  });

  it("is followed by one with outdated facts, which neither shoots nor writes the ledger, whatever it believes", async () => {
    const runs = await explore(false, true, () => {});
    expect(runs).toBeGreaterThan(60);
  });

  it("is followed by one with outdated facts of a node that has returned, which leaves it and its new pods alone", async () => {
    const runs = await explore(true, true, (world) => {
      expect(world.podUID).toBe("new-pod");
      expect(world.device.state).toBe("On");
    });
    expect(runs).toBeGreaterThan(60);
  });
});

// Random histories of crashes, partitions, freezes, slow answers and hands on the Lease: never two leaders at once, and a
// leader again once the trouble is over.
import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Leadership } from "../../src/run/leadership.ts";
import { Candidate } from "../support/candidate.ts";
import { createLink, LeaseServer } from "../support/lease-server.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const CANDIDATES = 3;
const RUNS = 400;

type Trouble =
  | {
      readonly kind: "cut" | "cutAnswers" | "heal" | "kill" | "freeze" | "thaw" | "stop" | "refuse";
      who: number;
    }
  | { readonly kind: "slow"; who: number; requestMs: number; answerMs: number }
  | { readonly kind: "delete" | "emptyHolder" | "otherHolder" | "label" | "shorten" | "restoreOld" };

const who = fc.nat(CANDIDATES - 1);
const troubles: fc.Arbitrary<Trouble> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom("cut", "cutAnswers", "heal", "kill", "freeze", "thaw", "stop", "refuse"),
      who,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("slow"),
      who,
      requestMs: fc.nat(6_000),
      answerMs: fc.nat(6_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom("delete", "emptyHolder", "otherHolder", "label", "shorten", "restoreOld"),
    }),
  },
);

const histories = fc.record({
  rates: fc.array(fc.double({ min: 0.9, max: 1.1, noNaN: true }), {
    minLength: CANDIDATES,
    maxLength: CANDIDATES,
  }),
  jitter: fc.double({ min: 0, max: 0.999, noNaN: true }),
  events: fc.array(fc.record({ afterMs: fc.nat(9_000), trouble: troubles }), { maxLength: 25 }),
});

class World {
  readonly clock = new VirtualClock();
  readonly server = new LeaseServer(this.clock);
  readonly rates: readonly number[];
  readonly jitter: number;
  readonly overlaps: string[] = [];
  readonly epochs: number[] = [];
  #lives = 0;
  #old: Record<string, unknown> | undefined;
  readonly current: Candidate[] = [];
  readonly all: Candidate[] = [];

  constructor(rates: readonly number[], jitter: number) {
    this.rates = rates;
    this.jitter = jitter;
    for (let index = 0; index < CANDIDATES; index += 1) this.#spawn(index);
  }

  #spawn(index: number): void {
    const rate = this.rates[index] ?? 1;
    const candidate: Candidate = new Candidate(this.clock, this.server, {
      identity: `replica-${index}-${this.#lives++}`,
      link: createLink(),
      skew: { rate, monotonicOffsetMs: index * 1e6, wallOffsetMs: (index - 1) * 86_400_000 },
      random: () => this.jitter,
      onLeading: (leadership: Leadership) => {
        this.epochs.push(leadership.epoch);
        // An overlap can only begin where a leadership begins: valid() never becomes true again.
        for (const other of this.all) {
          if (other !== candidate && other.leads)
            this.overlaps.push(`${candidate.identity} leads while ${other.identity} does, too`);
        }
      },
    });
    this.current[index] = candidate;
    this.all.push(candidate);
  }

  async suffer(trouble: Trouble): Promise<void> {
    if ("who" in trouble) return this.#hit(this.current[trouble.who], trouble);
    if (trouble.kind === "delete") this.server.lease = undefined;
    const { lease } = this.server;
    if (!lease) return;
    this.#old ??= structuredClone(lease.spec);
    this.server.edit(({ metadata, spec }) => {
      if (trouble.kind === "emptyHolder") spec["holderIdentity"] = "";
      if (trouble.kind === "otherHolder") spec["holderIdentity"] = "somebody";
      if (trouble.kind === "label") metadata.annotations = { ...metadata.annotations, label: "x" };
      if (trouble.kind === "shorten") spec["leaseDurationSeconds"] = 1;
      if (trouble.kind === "restoreOld") Object.assign(spec, this.#old);
    });
  }

  #hit(candidate: Candidate | undefined, trouble: Extract<Trouble, { who: number }>): void {
    if (!candidate) return;
    const { link } = candidate;
    switch (trouble.kind) {
      case "cut":
        link.requestsLost = true;
        break;
      case "cutAnswers":
        link.answersLost = true;
        break;
      case "refuse":
        link.failWith = "unreachable";
        break;
      case "heal":
        if (!candidate.dead) Object.assign(link, createLink());
        break;
      case "freeze":
        candidate.clock.freeze();
        break;
      case "thaw":
        if (!candidate.dead) candidate.clock.thaw();
        break;
      case "slow":
        Object.assign(link, { requestMs: trouble.requestMs, answerMs: trouble.answerMs });
        break;
      case "stop":
        void candidate.election.stop();
        this.#spawn(trouble.who);
        break;
      case "kill":
        candidate.kill();
        this.#spawn(trouble.who);
        break;
    }
  }

  async heal(): Promise<void> {
    for (const candidate of this.current) {
      Object.assign(candidate.link, createLink());
      candidate.clock.thaw();
    }
    // A lease duration on the slowest clock, the longest call under way, and two looks.
    await this.clock.advance(10_000 / 0.9 + 12_000 + 2_000);
  }

  get leaders(): string[] {
    return this.all.filter((candidate) => candidate.leads).map((candidate) => candidate.identity);
  }
}

it("there are never two leaders at once, and one again after the trouble", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(histories, async ({ rates, jitter, events }) => {
      const world = new World(rates, jitter);
      for (const { afterMs, trouble } of events) {
        await world.clock.advance(afterMs);
        await world.suffer(trouble);
        expect(world.leaders.length).toBeLessThanOrEqual(1);
      }
      await world.heal();
      expect(world.overlaps).toEqual([]);
      expect(world.leaders).toHaveLength(1);
      const handsOn = events.some(({ trouble }) => !("who" in trouble) && trouble.kind !== "label");
      if (!handsOn) expect(world.epochs).toEqual([...new Set(world.epochs)].sort((a, b) => a - b));
      await world.clock.advance(30_000);
      expect(world.leaders).toHaveLength(1);
    }),
    { numRuns: RUNS },
  );
});

import { beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_ELECTION_TIMINGS } from "../../src/run/election-timings.ts";
import { Candidate, type CandidateOptions } from "../support/candidate.ts";
import { LeaseServer } from "../support/lease-server.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

let clock: VirtualClock;
let server: LeaseServer;

beforeEach(() => {
  clock = new VirtualClock();
  server = new LeaseServer(clock);
});

function candidate(identity: string, options: Omit<CandidateOptions, "identity"> = {}): Candidate {
  return new Candidate(clock, server, { identity, ...options });
}

/** Lets one candidate lead and another follow; returns when a renewal has just been answered. */
async function leaderAndFollower(options: Omit<CandidateOptions, "identity"> = {}) {
  const a = candidate("a", options);
  await clock.advance(11_000);
  const b = candidate("b", options);
  await clock.advance(3_000);
  expect([a.leads, b.leads]).toEqual([true, false]);
  const writes = server.writes.length;
  while (server.writes.length === writes) await clock.advance(1);
  await clock.advance(6);
  return { a, b };
}

async function untilLeads(who: Candidate, withinMs: number): Promise<number> {
  const startMs = clock.now().monotonicMs;
  while (!who.leads && clock.now().monotonicMs - startMs < withinMs) await clock.advance(10);
  expect(who.leads, `${who.identity} leads within ${withinMs} ms`).toBe(true);
  return clock.now().monotonicMs - startMs;
}

describe("taking the Lease", () => {
  it("creates a missing Lease without a holder and waits, since a leader's may just have been deleted", async () => {
    const a = candidate("a");
    await clock.advance(100);
    expect(server.lease?.spec).toEqual({ leaseTransitions: 0 });
    await clock.advance(9_900);
    expect(a.leads).toBe(false);
    await clock.advance(200);
    expect(a.leads).toBe(true);
    expect(a.leadership?.epoch).toBe(1);
    expect(server.lease?.spec).toEqual({
      holderIdentity: "a",
      leaseDurationSeconds: 10,
      acquireTime: "2026-11-22T00:00:10.020000Z",
      renewTime: "2026-11-22T00:00:10.020000Z",
      leaseTransitions: 1,
    });
  });

  it("renews every retry period and nothing more", async () => {
    candidate("a");
    await clock.advance(11_000);
    server.writes.length = 0;
    await clock.advance(60_000);
    expect(server.writes.length).toBe(30);
    expect(new Set(server.writes.map((write) => `${write.method} ${write.status}`))).toEqual(
      new Set(["PATCH ok"]),
    );
  });

  it("follows while another leads", async () => {
    const { a, b } = await leaderAndFollower();
    await clock.advance(600_000);
    expect(a.log).toEqual(["10.03 s leads, epoch 1"]);
    expect(b.log).toEqual([]);
    expect(b.election.state()).toMatchObject({ role: "standby", holder: "a", epoch: 1 });
  });

  it("keeps labels and annotations that others have put on the Lease", async () => {
    candidate("a");
    await clock.advance(11_000);
    server.edit((lease) => {
      lease.metadata.annotations = { "meta.helm.sh/release-name": "holdfast" };
    });
    await clock.advance(10_000);
    expect(server.lease?.metadata.annotations).toEqual({ "meta.helm.sh/release-name": "holdfast" });
  });

  it("starts above the epoch floor, so that a deleted Lease does not bring old epochs back", async () => {
    const a = candidate("a", { epochFloor: () => 41 });
    await clock.advance(11_000);
    expect(a.leadership?.epoch).toBe(42);
  });
});

describe("losing the leader", () => {
  it("takes over from a crashed leader within lease duration plus one look", async () => {
    const { a, b } = await leaderAndFollower();
    // Just after a renewal is the worst moment: the follower has yet to see it.
    a.kill();
    const tookMs = await untilLeads(b, 20_000);
    expect(tookMs).toBeGreaterThan(9_900);
    expect(tookMs).toBeLessThanOrEqual(11_100);
    expect(b.leadership?.epoch).toBe(2);
  });

  it("takes over at once from a leader that was stopped", async () => {
    const { a, b } = await leaderAndFollower();
    const { leadership } = a;
    const stopping = a.election.stop();
    expect(leadership?.valid()).toBe(false);
    expect(leadership?.signal.aborted).toBe(true);
    await clock.advance(100);
    await stopping;
    expect(server.lease?.spec["holderIdentity"]).toBeUndefined();
    expect(await untilLeads(b, 2_000)).toBeLessThan(1_000);
    expect(b.leadership?.epoch).toBe(2);
    expect(a.log.at(-1)).toContain("lost: released");
    expect(a.election.state().role).toBe("idle");
  });

  it("notices by itself that it is cut off, three seconds before anyone may take over", async () => {
    const { a, b } = await leaderAndFollower();
    a.link.requestsLost = true;
    let lostAtMs = 0;
    a.leadership?.signal.addEventListener("abort", () => {
      lostAtMs = clock.now().monotonicMs;
      expect(b.leads).toBe(false);
    });
    const tookMs = await untilLeads(b, 20_000);
    expect(lostAtMs).toBeGreaterThan(0);
    expect(clock.now().monotonicMs - lostAtMs).toBeGreaterThan(2_900);
    expect(tookMs).toBeLessThan(11_100);
    expect(a.log.at(-1)).toContain("lost: renewDeadlinePassed");
    // Back again, it follows.
    a.link.requestsLost = false;
    await clock.advance(30_000);
    expect([a.leads, b.leads]).toEqual([false, true]);
  });

  it("notices the renew deadline even where a renewal call never returns", async () => {
    const { a, b } = await leaderAndFollower();
    a.link.stuck = true;
    await clock.advance(7_001);
    expect(a.leadership?.signal.aborted).toBe(true);
    await untilLeads(b, 6_000);
    a.link.stuck = false;
    await clock.advance(10_000);
    expect(a.election.state()).toMatchObject({ role: "standby", holder: "b" });
  });

  it("stays leader while its renewals are acted upon but unanswered for less than the deadline", async () => {
    const { a } = await leaderAndFollower();
    a.link.answersLost = true;
    await clock.advance(4_500);
    a.link.answersLost = false;
    await clock.advance(30_000);
    expect(a.log).toEqual(["10.03 s leads, epoch 1"]);
  });

  it("does not count a renewal that it never heard of, even if the server did it", async () => {
    const { a, b } = await leaderAndFollower();
    a.link.answersLost = true;
    await clock.advance(7_001);
    expect(a.leads).toBe(false);
    await clock.advance(1_000);
    expect(b.leads).toBe(false);
  });

  it("takes the Lease back at once after an outage of the API server that nobody used", async () => {
    const { a, b } = await leaderAndFollower();
    a.link.failWith = "unreachable";
    b.link.failWith = "unreachable";
    await clock.advance(8_500);
    expect([a.leads, b.leads]).toEqual([false, false]);
    a.link.failWith = undefined;
    b.link.failWith = undefined;
    await clock.advance(1_100);
    expect(a.leads).toBe(true);
    expect(a.leadership?.epoch).toBe(2);
    expect(a.leaderships[0]?.valid()).toBe(false);
  });

  it("does not revive a leadership whose process was paused past the deadline", async () => {
    const { a, b } = await leaderAndFollower();
    a.clock.freeze();
    await clock.advance(60_000);
    expect(a.leadership?.valid()).toBe(false);
    expect(b.leads).toBe(true);
    a.clock.thaw();
    expect(a.leadership?.signal.aborted).toBe(true);
    await clock.advance(5_000);
    expect([a.leads, b.leads]).toEqual([false, true]);
    expect(a.leaderships).toHaveLength(1);
  });

  it("does not trust wall clocks: an hour of difference changes nothing", async () => {
    const a = candidate("a", { skew: { wallOffsetMs: -3_600_000, monotonicOffsetMs: 5e8 } });
    await clock.advance(11_000);
    const b = candidate("b", { skew: { wallOffsetMs: 3_600_000 } });
    await clock.advance(120_000);
    expect([a.leads, b.leads]).toEqual([true, false]);
  });
});

describe("a slow or failing API server", () => {
  it("still elects and keeps a leader where every call takes three seconds", async () => {
    const a = candidate("a");
    a.link.requestMs = 1_500;
    a.link.answerMs = 1_500;
    await clock.advance(60_000);
    const { length } = a.leaderships;
    expect(a.leads).toBe(true);
    await clock.advance(120_000);
    expect(a.leaderships).toHaveLength(length);
  });

  it("redials after a call without an answer, and says so", async () => {
    const { a } = await leaderAndFollower();
    a.contacts.length = 0;
    a.link.requestsLost = true;
    await clock.advance(4_050);
    expect(a.transport.redials).toBe(1);
    expect(a.contacts.at(-1)).toBe(false);
    a.link.requestsLost = false;
    await clock.advance(2_000);
    expect(a.contacts.at(-1)).toBe(true);
    expect(a.transport.redials).toBe(1);
    expect(a.leaderships).toHaveLength(1);
  });

  it("takes a refusal as a sign of a working connection", async () => {
    const { a } = await leaderAndFollower();
    a.contacts.length = 0;
    a.link.failWith = "denied";
    await clock.advance(6_000);
    expect(a.contacts).not.toContain(false);
    expect(a.transport.redials).toBe(0);
    expect(a.election.state().lastFailure?.kind).toBe("denied");
    await clock.advance(3_000);
    expect(a.leads).toBe(false);
  });

  it("says when its writes are not stored, and when anybody's are again", async () => {
    const { a, b } = await leaderAndFollower();
    expect(a.stored).not.toContain(false);
    a.link.failWith = "serverError";
    await clock.advance(20_000);
    expect(b.leads).toBe(true);
    expect(a.stored.at(-1)).toBe(false);
    a.link.failWith = undefined;
    await clock.advance(2_000);
    expect(a.stored.at(-1)).toBe(true);
    expect(b.stored).not.toContain(false);
  });

  it("does not take a refusal that is about us for a server that stores nothing", async () => {
    const { a } = await leaderAndFollower();
    a.link.failWith = "denied";
    await clock.advance(20_000);
    expect(a.stored).not.toContain(false);
  });

  it("dials for another replica when one keeps answering 500", async () => {
    const { a } = await leaderAndFollower();
    a.link.failWith = "serverError";
    await clock.advance(2_100);
    expect(a.transport.redials).toBe(0);
    await clock.advance(2_000);
    expect(a.transport.redials).toBeGreaterThan(0);
  });

  it("throttled renewals are tried again before the deadline", async () => {
    const { a } = await leaderAndFollower();
    a.link.failWith = "throttled";
    await clock.advance(5_500);
    a.link.failWith = undefined;
    await clock.advance(10_000);
    expect(a.leaderships).toHaveLength(1);
    expect(a.leads).toBe(true);
  });
});

describe("hands on the Lease", () => {
  it("recreates a deleted Lease under its own epoch and goes on leading", async () => {
    const { a, b } = await leaderAndFollower();
    server.lease = undefined;
    await clock.advance(30_000);
    expect(a.log).toEqual(["10.03 s leads, epoch 1"]);
    expect(b.leads).toBe(false);
    expect(server.lease).toMatchObject({ spec: { holderIdentity: "a", leaseTransitions: 1 } });
  });

  it("a follower waits a lease duration after a deletion, too", async () => {
    const { a, b } = await leaderAndFollower();
    a.kill();
    server.lease = undefined;
    await clock.advance(9_000);
    expect(b.leads).toBe(false);
    await untilLeads(b, 3_000);
    expect(b.leadership?.epoch).toBe(2);
  });

  it("writes itself in again where somebody empties the holder, and nobody jumps in", async () => {
    const { a, b } = await leaderAndFollower();
    server.edit((lease) => {
      lease.spec["holderIdentity"] = "";
    });
    await clock.advance(30_000);
    expect([a.leads, b.leads]).toEqual([true, false]);
    expect(a.leaderships).toHaveLength(1);
    expect(server.lease?.spec["holderIdentity"]).toBe("a");
  });

  it("steps down at its next renewal when somebody writes another holder, and nobody jumps in before the deadline", async () => {
    const { a, b } = await leaderAndFollower();
    server.edit((lease) => {
      lease.spec["holderIdentity"] = "somebody";
    });
    await clock.advance(2_100);
    expect(a.log.at(-1)).toContain("lost: takenOver");
    await clock.advance(7_000);
    expect([a.leads, b.leads]).toEqual([false, false]);
    await clock.advance(3_000);
    expect(Number(a.leads) + Number(b.leads)).toBe(1);
  });

  it("a candidate that was cut off while a Lease came and went does not take its absence for long", async () => {
    const b = candidate("b");
    b.link.answersLost = true;
    server.lease = undefined;
    await clock.advance(100);
    server.lease = undefined;
    const a = candidate("a");
    await clock.advance(12_000);
    expect(a.leads).toBe(true);
    server.lease = undefined;
    b.link.answersLost = false;
    await clock.advance(5_000);
    expect(b.leaderships).toHaveLength(0);
  });

  it("follows an edit that leaves the Lease in its name", async () => {
    const { a } = await leaderAndFollower();
    server.edit((lease) => {
      lease.spec["leaseDurationSeconds"] = 1;
    });
    await clock.advance(20_000);
    expect(a.leaderships).toHaveLength(1);
    expect(server.lease?.spec["leaseDurationSeconds"]).toBe(10);
  });

  it("survives a storm of edits that wins three of four races", async () => {
    const { a, b } = await leaderAndFollower();
    let count = 0;
    server.beforeWrite = () => {
      if (++count % 4 !== 0) server.edit((lease) => void (lease.metadata.annotations = { n: String(count) }));
    };
    await clock.advance(60_000);
    expect(a.leaderships).toHaveLength(1);
    expect(a.leads).toBe(true);
    expect(b.leads).toBe(false);
  });

  it("a storm that wins every race costs the leadership, but never makes a second leader or a hot loop", async () => {
    const { a, b } = await leaderAndFollower();
    let count = 0;
    server.beforeWrite = () =>
      server.edit((lease) => void (lease.metadata.annotations = { n: `${++count}` }));
    server.writes.length = 0;
    await clock.advance(60_000);
    expect([a.leads, b.leads]).toEqual([false, false]);
    expect(server.writes.length).toBeLessThan(120);
    server.beforeWrite = () => {};
    await clock.advance(15_000);
    expect(Number(a.leads) + Number(b.leads)).toBe(1);
  });

  it("honours the longer lease duration that the holder wrote, up to five minutes", async () => {
    const slow = { leaseDurationMs: 30_000, renewDeadlineMs: 20_000, retryPeriodMs: 2_000 };
    const a = candidate("a", { timings: slow });
    await clock.advance(31_000);
    const b = candidate("b");
    await clock.advance(3_000);
    a.kill();
    await clock.advance(27_000);
    expect(b.leads).toBe(false);
    await untilLeads(b, 6_000);
    server.edit((lease) => {
      lease.spec["leaseDurationSeconds"] = 2_000_000_000;
      lease.spec["holderIdentity"] = "nobody";
    });
    await clock.advance(295_000);
    expect(b.leads).toBe(false);
    await clock.advance(10_000);
    expect(b.leads).toBe(true);
  });

  it("a second process with the same identity waits like any other", async () => {
    const a = candidate("same");
    await clock.advance(11_000);
    const b = candidate("same");
    await clock.advance(60_000);
    expect([a.leads, b.leads]).toEqual([true, false]);
  });
});

describe("stopping", () => {
  it("releases a Lease whose acquisition was under way, if the server did it", async () => {
    const a = candidate("a");
    await clock.advance(9_000);
    a.link.answerMs = 1_000;
    while (server.lease?.spec["holderIdentity"] !== "a") await clock.advance(10);
    const stopping = a.election.stop();
    await clock.advance(5_000);
    await stopping;
    expect(server.lease?.spec["holderIdentity"]).toBeUndefined();
    expect(a.leaderships).toHaveLength(0);
  });

  it("ends even where the API server does not answer, and then lets go of nothing", async () => {
    const { a } = await leaderAndFollower();
    a.link.stuck = true;
    let stopped = false;
    const stopping = a.election.stop().then(() => (stopped = true));
    await clock.advance(5_100);
    expect(stopped).toBe(true);
    await stopping;
    expect(server.lease?.spec["holderIdentity"]).toBe("a");
  });

  it("leaves the Lease alone where it never held it", async () => {
    const { a, b } = await leaderAndFollower();
    const writes = server.writes.filter((write) => write.status !== "ok").length;
    const stopping = b.election.stop();
    await clock.advance(1_000);
    await stopping;
    expect(server.writes.filter((write) => write.status !== "ok").length).toBe(writes);
    expect(a.leads).toBe(true);
    expect(b.log).toEqual([]);
  });
});

it("refuses timings that would let two leaders overlap", () => {
  const timings = { ...DEFAULT_ELECTION_TIMINGS, renewDeadlineMs: 10_000 };
  expect(() => candidate("a", { timings })).toThrow(
    /lease duration .* must be longer than the renew deadline/,
  );
});

import { describe, expect, it } from "vitest";
import type { Plan, Step } from "../../src/model/plan.ts";
import { TurnLoop } from "../../src/run/turn-loop.ts";
import { Cluster } from "../decide/builder.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

function plan(change: Partial<Plan> = {}): Plan {
  return {
    steps: [],
    refusals: [],
    verdicts: new Map(),
    notJudged: undefined,
    lookAgainAtMs: undefined,
    disarmedNodes: 0,
    conclusions: undefined,
    ...change,
  };
}

/** A loop whose every turn gives the plan that `decide` says; tells at which times turns were taken. */
function loop(options: { decide?: (turn: number) => Plan; retryAtMs?: () => number | undefined } = {}) {
  const clock = new VirtualClock();
  const turns: number[] = [];
  const submitted: (readonly Step[])[] = [];
  let notJudged = 0;
  const turnLoop = new TurnLoop({
    clock,
    snapshot: () => new Cluster().snapshot(),
    decide: () => {
      turns.push(clock.now().monotonicMs);
      return options.decide?.(turns.length) ?? plan();
    },
    submit: (steps) => {
      submitted.push(steps);
      return options.retryAtMs?.();
    },
    onPlan: () => undefined,
    onNotJudged: () => {
      notJudged += 1;
    },
  });
  return { clock, turns, submitted, turnLoop, notJudged: () => notJudged };
}

describe("the turn loop", () => {
  it("takes a turn at once when it starts, and none before", async () => {
    const { clock, turns, turnLoop } = loop();
    turnLoop.wake();
    await clock.advance(1_000);
    expect(turns).toEqual([]);
    const startedMs = clock.now().monotonicMs;
    turnLoop.start();
    await clock.advance(1);
    expect(turns).toEqual([startedMs]);
  });

  it("takes one turn for a burst of changes", async () => {
    const { clock, turns, turnLoop } = loop();
    turnLoop.start();
    await clock.advance(100);
    for (let i = 0; i < 50; i++) turnLoop.wake();
    await clock.advance(100);
    expect(turns).toHaveLength(2);
  });

  it("looks again at the time the plan names", async () => {
    let againAtMs = 0;
    const { clock, turns, turnLoop } = loop({
      decide: (turn) => plan(turn === 1 ? { lookAgainAtMs: againAtMs } : {}),
    });
    againAtMs = clock.now().monotonicMs + 4_000;
    turnLoop.start();
    await clock.advance(10_000);
    expect(turns[1]).toBe(againAtMs);
    expect(turns).toHaveLength(2);
  });

  it("offers a step that was held back as soon as it may go", async () => {
    let retryAtMs: number | undefined;
    const { clock, turns, turnLoop } = loop({ retryAtMs: () => retryAtMs });
    retryAtMs = clock.now().monotonicMs + 2_000;
    turnLoop.start();
    await clock.advance(2_000);
    expect(turns).toHaveLength(2);
  });

  it("tries again soon while nothing can be judged, and says that its changes were not looked at", async () => {
    const { clock, turns, turnLoop, notJudged } = loop({ decide: () => plan({ notJudged: "not synced" }) });
    turnLoop.start();
    await clock.advance(1_000);
    expect(turns.length).toBeGreaterThanOrEqual(4);
    expect(notJudged()).toBe(turns.length + 1);
  });

  it("takes no turn after it was stopped, and looks at everything when it starts anew", async () => {
    const { clock, turns, turnLoop, notJudged } = loop();
    turnLoop.start();
    await clock.advance(10);
    turnLoop.stop();
    turnLoop.wake();
    await clock.advance(120_000);
    expect(turns).toHaveLength(1);
    turnLoop.start();
    await clock.advance(10);
    expect(turns).toHaveLength(2);
    expect(notJudged()).toBe(2);
  });
});

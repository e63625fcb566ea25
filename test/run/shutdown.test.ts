import { EventEmitter } from "node:events";
import { beforeEach, describe, expect, it } from "vitest";
import { EXIT_CODES, Shutdown, type ShutdownEvent } from "../../src/run/shutdown.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

let clock: VirtualClock;
let events: ShutdownEvent[];
let exits: number[];
let keptAlive: number;
let shutdown: Shutdown;
let signals: EventEmitter;

beforeEach(() => {
  clock = new VirtualClock();
  events = [];
  exits = [];
  keptAlive = 0;
  signals = new EventEmitter();
  shutdown = new Shutdown({
    clock,
    keepAlive: () => {
      keptAlive += 1;
      return () => (keptAlive -= 1);
    },
    exit: (code) => exits.push(code),
    report: (event) => events.push(event),
  });
  shutdown.listen(signals);
});

function closer(name: string, close: () => Promise<unknown> | void) {
  shutdown.add({ name, deadlineMs: 1_000, close });
}

describe("on SIGTERM", () => {
  it("closes what was opened last first, one after the other, and exits 0", async () => {
    const order: string[] = [];
    for (const name of ["transport", "election", "queue"]) {
      closer(name, async () => {
        order.push(`${name} closing`);
        await new Promise<void>((resolve) => void clock.schedule(100, resolve));
        order.push(`${name} closed`);
      });
    }
    signals.emit("SIGTERM");
    expect(keptAlive).toBe(1);
    await clock.advance(1_000);
    expect(order).toEqual([
      "queue closing",
      "queue closed",
      "election closing",
      "election closed",
      "transport closing",
      "transport closed",
    ]);
    expect(exits).toEqual([EXIT_CODES.clean]);
    expect(keptAlive).toBe(0);
    expect(events[0]).toEqual({ kind: "began", reason: "SIGTERM" });
    expect(events[1]).toEqual({ kind: "closed", name: "queue", tookMs: 100 });
  });

  it("gives up a closer at its deadline, closes the rest and exits 1", async () => {
    let closed = false;
    closer("transport", () => void (closed = true));
    closer("stuck", () => new Promise(() => {}));
    signals.emit("SIGTERM");
    await clock.advance(999);
    expect(closed).toBe(false);
    await clock.advance(1);
    expect(closed).toBe(true);
    expect(events).toContainEqual({ kind: "deadlineMissed", name: "stuck", deadlineMs: 1_000 });
    expect(exits).toEqual([EXIT_CODES.unclean]);
  });

  it("goes on after a closer that throws", async () => {
    let closed = false;
    closer("transport", () => void (closed = true));
    closer("broken", () => {
      throw new Error("no");
    });
    signals.emit("SIGINT");
    await clock.settle();
    expect(closed).toBe(true);
    expect(exits).toEqual([EXIT_CODES.unclean]);
  });

  it("exits at once on a second signal, with that signal's code", async () => {
    closer("stuck", () => new Promise(() => {}));
    signals.emit("SIGTERM");
    await clock.advance(10);
    signals.emit("SIGINT");
    expect(exits).toEqual([130]);
    signals.emit("SIGTERM");
    expect(exits).toEqual([130, 143]);
  });
});

it("keeps the code it was begun with, and begins once", async () => {
  let times = 0;
  closer("counted", () => void (times += 1));
  await Promise.all([shutdown.begin("no API server", 3), shutdown.begin("again", 4)]);
  expect(times).toBe(1);
  expect(exits).toEqual([3]);
});

it("a bug exits with 70 at once and closes nothing", () => {
  let closed = false;
  closer("transport", () => void (closed = true));
  signals.emit("uncaughtException", new Error("bug"));
  expect(exits).toEqual([EXIT_CODES.bug]);
  expect(closed).toBe(false);
  expect(events).toMatchObject([{ kind: "bug" }]);
});

// What a person sees of a long step, on a terminal and in a log file.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createProgress, describeStep, formatDuration } from "../../lab/terminal/progress.ts";

describe("the words of a step", () => {
  it("says what, how far, how long and about how much longer", () => {
    const text = describeStep("building", { done: 500, total: 2_000, unit: "packages" }, 100_000);
    expect(text).toBe("building: 500 of 2,000 packages (25 %), 1 min 40 s, about 5 min 00 s left");
  });

  it("shows bytes as megabytes, and only the count where the total is unknown", () => {
    expect(describeStep("downloading", { done: 2_500_000, total: 10_000_000, unit: "bytes" }, 0)).toBe(
      "downloading: 2.5 of 10.0 MB (25 %)",
    );
    expect(describeStep("fetching", { done: 12, unit: "modules" }, 9_000)).toBe("fetching: 12 modules, 9 s");
  });

  it("gives no estimate before there is something to estimate from", () => {
    const early = { done: 10, total: 2_000, unit: "packages" };
    expect(describeStep("building", early, 60_000)).not.toContain("left");
    expect(describeStep("building", { ...early, done: 1_000 }, 1_500)).not.toContain("left");
    expect(describeStep("building", { ...early, done: 2_000 }, 60_000)).not.toContain("left");
    expect(describeStep("building", { ...early, total: 0, done: 0 }, 60_000)).toContain("(100 %)");
  });

  it("writes durations in the two largest units that matter", () => {
    expect([999, 59_400, 185_000, 3_600_000 + 4 * 60_000].map(formatDuration)).toEqual([
      "1 s",
      "59 s",
      "3 min 05 s",
      "1 h 04 min",
    ]);
  });
});

describe("the display", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const display = (terminal: boolean, columns = 80) => {
    const written: string[] = [];
    const progress = createProgress({
      terminal,
      write: (text) => written.push(text),
      columns: () => columns,
    });
    return { progress, written };
  };

  it("writes a line at once and then one every 15 s where there is no terminal", () => {
    const { progress, written } = display(false);
    progress.show("building", { done: 0, total: 100, unit: "packages" });
    for (let done = 1; done <= 31; done++) {
      vi.advanceTimersByTime(1_000);
      progress.show("building", { done, total: 100, unit: "packages" });
    }
    expect(written).toEqual([
      "building: 0 of 100 packages (0 %)\n",
      "building: 14 of 100 packages (14 %), 15 s, about 1 min 32 s left\n",
      "building: 29 of 100 packages (29 %), 30 s, about 1 min 13 s left\n",
    ]);
  });

  it("rewrites one line on a terminal, cut to its width, and keeps the clock running when nothing is reported", () => {
    const { progress, written } = display(true, 20);
    progress.show("waiting for process 4711");
    vi.advanceTimersByTime(2_000);
    expect(written).toHaveLength(3);
    expect(written.every((text) => text === "\rwaiting for process\u001b[K")).toBe(true);
  });

  it("does not rewrite the terminal line for every single report", () => {
    const { progress, written } = display(true);
    for (let done = 0; done < 1_000; done++) progress.show("downloading", { done, unit: "bytes" });
    expect(written).toHaveLength(1);
  });

  it("starts the clock anew with each step", () => {
    const { progress, written } = display(false);
    progress.show("first");
    vi.advanceTimersByTime(20_000);
    progress.show("second");
    vi.advanceTimersByTime(15_000);
    expect(written).toEqual(["first …\n", "first: 15 s\n", "second …\n", "second: 15 s\n"]);
  });

  it("puts a lasting line above the rewritten one", () => {
    const { progress, written } = display(true);
    progress.show("step");
    progress.say("a fact");
    expect(written.join("")).toBe("\rstep …\u001b[K\r\u001b[Ka fact\n\rstep …\u001b[K");
  });

  it("leaves nothing behind when it ends", () => {
    const { progress, written } = display(true);
    progress.show("step");
    progress.end();
    expect(written.at(-1)).toBe("\r\u001b[K");
    const count = written.length;
    vi.advanceTimersByTime(60_000);
    expect(written).toHaveLength(count);
    expect(vi.getTimerCount()).toBe(0);
  });
});

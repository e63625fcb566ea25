import { describe, expect, it } from "vitest";
import { Lifeline } from "../../lab/nodes/lifeline.ts";

const tick = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("Lifeline", () => {
  it("never resumes code that waits in a life that has ended", async () => {
    const life = new Lifeline();
    let resumed = false;
    const wait = async (until: Promise<void>) => {
      await until;
      resumed = true;
    };
    void wait(life.sleep(5));
    life.end();
    void wait(life.thawed());
    await tick(20);
    expect(resumed).toBe(false);
  });

  it("runs overdue timers on thaw, in the order they fell due", async () => {
    const life = new Lifeline();
    const woken: string[] = [];
    life.after(10, () => woken.push("second"));
    life.after(5, () => woken.push("first"));
    life.freeze();
    await tick(30);
    expect(woken).toEqual([]);
    life.thaw();
    await tick(10);
    expect(woken).toEqual(["first", "second"]);
  });

  it("ends, freezes and thaws its children with it", async () => {
    const machine = new Lifeline();
    const kubelet = machine.child();
    machine.freeze();
    expect(kubelet.frozen).toBe(true);
    expect(machine.child().frozen).toBe(true);
    machine.thaw();
    expect(kubelet.frozen).toBe(false);
    let told = false;
    kubelet.atEnd(() => {
      told = true;
    });
    machine.end();
    expect(told).toBe(true);
    expect(machine.child().alive).toBe(false);
  });

  it("leaves the machine alive when one of its processes ends", () => {
    const machine = new Lifeline();
    machine.child().end();
    expect(machine.alive).toBe(true);
  });
});

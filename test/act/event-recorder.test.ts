import { describe, expect, it } from "vitest";
import { EVENT_AGGREGATION_MS, MAX_EVENTS_PER_MINUTE } from "../../src/act/event-recorder.ts";
import type { EventNote } from "../../src/model/plan.ts";
import { failing } from "../support/fake-api.ts";
import { ActScene } from "./act-fixture.ts";

const NODE_EVENTS = "/api/v1/namespaces/default/events";
const VM_EVENTS = "/api/v1/namespaces/prod/events";

function note(message = "said", namespace?: string): EventNote {
  const about = { apiVersion: "v1", kind: "Node", namespace, name: "worker-1", uid: "node-uid" };
  return { about, type: "Warning", reason: "NodeLost", message };
}

function many(count: number): readonly EventNote[] {
  return Array.from({ length: count }, (_, i) => note(`message ${i}`));
}

function recorder() {
  const scene = new ActScene();
  const { events } = scene.context();
  const record = async (...notes: readonly EventNote[]) => {
    events.record(notes);
    await events.settled();
  };
  const standing = (collection = NODE_EVENTS) =>
    scene.api.objects.list(collection).map((path) => scene.api.objects.peek(path));
  return { scene, events, record, standing };
}

describe("an Event", () => {
  it("says what happened to which object, in the way kubectl describe reads it", async () => {
    const { record, standing } = recorder();
    await record(note());
    expect(standing()).toMatchObject([
      {
        kind: "Event",
        apiVersion: "v1",
        involvedObject: { kind: "Node", name: "worker-1", uid: "node-uid" },
        type: "Warning",
        reason: "NodeLost",
        message: "said",
        count: 1,
        firstTimestamp: "2026-11-22T00:00:00Z",
        lastTimestamp: "2026-11-22T00:00:00Z",
        source: { component: "holdfast" },
      },
    ]);
  });

  it("goes into its object's namespace, and into default where it has none", async () => {
    const { record, standing } = recorder();
    await record(note("said", "prod"), note("said"));
    expect(standing(VM_EVENTS)).toHaveLength(1);
    expect(standing(NODE_EVENTS)).toHaveLength(1);
  });

  it("with an endless message is cut", async () => {
    const { record, standing } = recorder();
    await record(note("x".repeat(10_000)));
    expect(standing()).toMatchObject([{ message: "x".repeat(1_024) }]);
  });

  it("that repeats is counted on the one that stands", async () => {
    const { scene, record, standing } = recorder();
    await record(note());
    await scene.clock.advance(30_000);
    await record(note(), note());
    expect(standing()).toMatchObject([
      { count: 3, firstTimestamp: "2026-11-22T00:00:00Z", lastTimestamp: "2026-11-22T00:00:30Z" },
    ]);
  });

  it("with another message, or ten minutes later, is a new one", async () => {
    const { scene, record, standing } = recorder();
    await record(note("one"));
    await record(note("other"));
    await scene.clock.advance(EVENT_AGGREGATION_MS);
    await record(note("one"));
    expect(standing()).toHaveLength(3);
  });

  it("that the API server has dropped meanwhile is written anew", async () => {
    const { scene, record, standing } = recorder();
    await record(note());
    for (const path of scene.api.objects.list(NODE_EVENTS)) scene.api.objects.drop(path);
    await scene.clock.advance(1_000);
    await record(note());
    expect(standing()).toMatchObject([{ count: 1 }]);
  });
});

describe("recording", () => {
  it("never fails or delays whoever asked for it", async () => {
    const { scene, events } = recorder();
    scene.api.intercept = () => failing("timeout");
    events.record([note()]);
    expect(scene.api.seen.length).toBeLessThanOrEqual(1);
    await events.settled();
    expect(scene.warnings).toEqual(["an Event was not recorded"]);
  });

  it("writes no more than its budget in a minute, and says how many it dropped", async () => {
    const { scene, record } = recorder();
    await record(...many(MAX_EVENTS_PER_MINUTE + 20));
    expect(scene.api.writes).toHaveLength(MAX_EVENTS_PER_MINUTE);
    await scene.clock.advance(60_000);
    await record(note());
    expect(scene.api.writes).toHaveLength(MAX_EVENTS_PER_MINUTE + 1);
    expect(scene.warnings).toEqual(["Events were dropped: more than the limit"]);
  });

  it("keeps no endless row of notes", async () => {
    const { scene, record } = recorder();
    await record(...many(100_000));
    expect(scene.api.writes.length).toBeLessThanOrEqual(MAX_EVENTS_PER_MINUTE);
  });

  it("stops with our leadership", async () => {
    const { scene, record } = recorder();
    scene.leading = false;
    await record(note(), note("other"));
    expect(scene.api.seen).toEqual([]);
    expect(scene.warnings).toEqual([]);
  });
});

import { describe, expect, it } from "vitest";
import { DrillProbes } from "../../src/act/drill-probes.ts";
import { performCordon, performUncordon, performWriteDrill } from "../../src/act/drill.ts";
import type { NamedProbe } from "../../src/model/drill.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { scriptedServiceProbe } from "../support/scripted-service-probe.ts";
import { ActScene, EPOCH, NODE, NODE_PATH } from "./act-fixture.ts";
import { sampleSteps } from "./sample-steps.ts";

const MARK = "holdfast.dev/drill";
const DRILL_PATH = "/apis/holdfast.dev/v1alpha1/failoverdrills/d";

function nodeIn(scene: ActScene): { readonly mark: string | undefined; readonly cordoned: boolean } {
  const node = scene.api.objects.peek(NODE_PATH);
  return {
    mark: node?.metadata.annotations?.[MARK],
    cordoned: node?.spec?.["unschedulable"] === true,
  };
}

function cordon(scene: ActScene, drill = "d/uid") {
  return performCordon({ kind: "Cordon", node: NODE, drill }, scene.context());
}

function uncordon(scene: ActScene, drill = "d/uid") {
  return performUncordon({ kind: "Uncordon", node: NODE, drill }, scene.context());
}

describe("the cordon of a drill", () => {
  it("comes with the drill's mark, in one write", async () => {
    const scene = new ActScene();
    expect(await cordon(scene)).toEqual({ outcome: "done" });
    expect(nodeIn(scene)).toEqual({ mark: "d/uid", cordoned: true });
    expect(scene.ownWrites).toEqual([`nodes/${NODE}`]);
    expect(await cordon(scene)).toMatchObject({ outcome: "unchanged" });
  });

  it("is refused where somebody has cordoned the node, another drill included", async () => {
    const scene = new ActScene();
    scene.api.objects.change(NODE_PATH, (node) => (node.spec = { unschedulable: true }));
    expect(await cordon(scene)).toMatchObject({ outcome: "refused" });
    expect(nodeIn(scene)).toEqual({ mark: undefined, cordoned: true });
    const other = new ActScene();
    await cordon(other, "other/uid");
    expect(await cordon(other)).toMatchObject({ outcome: "refused" });
  });

  it("is lifted with its mark, and nobody else's ever is", async () => {
    const scene = new ActScene();
    await cordon(scene);
    expect(await uncordon(scene, "other/uid")).toMatchObject({ outcome: "unchanged" });
    expect(nodeIn(scene).cordoned).toBe(true);
    expect(await uncordon(scene)).toEqual({ outcome: "done" });
    expect(nodeIn(scene)).toEqual({ mark: undefined, cordoned: false });
    expect(await uncordon(scene)).toMatchObject({ outcome: "unchanged" });
  });

  it("loses to whoever writes the node in between", async () => {
    const scene = new ActScene();
    scene.api.intercept = ({ method }) => {
      if (method === "PATCH") scene.api.objects.change(NODE_PATH, (node) => (node.spec = { taints: [] }));
      return undefined;
    };
    expect(await cordon(scene)).toMatchObject({ outcome: "conflict" });
    expect(nodeIn(scene).cordoned).toBe(false);
  });
});

describe("the status of a drill", () => {
  it("carries our epoch, and the version that it was decided on", async () => {
    const scene = new ActScene();
    const { WriteDrill: step } = sampleSteps(scene);
    await performWriteDrill(step, scene.context());
    const sent = scene.api.seen.findLast(({ path }) => path === `${DRILL_PATH}/status`);
    expect(sent?.body).toMatchObject({
      metadata: { name: "d", uid: "uid", resourceVersion: "5" },
      status: { epoch: EPOCH },
    });
  });

  it("is not written over that of a newer leader", async () => {
    const scene = new ActScene();
    const { WriteDrill: step } = sampleSteps(scene);
    const newer = { ...step.drill, status: { ...step.drill.status, epoch: EPOCH + 1 } };
    const performed = await performWriteDrill({ ...step, drill: newer }, scene.context());
    expect(performed).toMatchObject({ outcome: "stale" });
    expect(scene.api.seen.filter(({ path }) => path.startsWith(DRILL_PATH))).toEqual([]);
  });
});

describe("the probes of a drill", () => {
  const probes: readonly NamedProbe[] = [
    { name: "udp", probe: { kind: "Udp", port: 7, packetsPerSecond: 10 } },
    { name: "web", probe: { kind: "Http", port: 80, path: "/" } },
  ];

  function rig() {
    const clock = new VirtualClock();
    const latency = { ms: 1 as number | undefined };
    const startProbe = scriptedServiceProbe({ clock, latencyMs: () => latency.ms });
    return { clock, latency, sessions: new DrillProbes({ clock, startProbe, addressOf: (key) => key }) };
  }

  it("ask every VM in every way, and say since when all are answered", async () => {
    const { clock, latency, sessions } = rig();
    const startedAtMs = clock.now().monotonicMs;
    expect(sessions.start("run", ["ns/a", "ns/b"], probes)).toBe(true);
    await clock.advance(1_050);
    expect(sessions.states.get("run")).toEqual({ startedAtMs, answeredSinceMs: startedAtMs });
    latency.ms = undefined;
    await clock.advance(1_000);
    expect(sessions.states.get("run")?.answeredSinceMs).toBeUndefined();
    latency.ms = 1;
    await clock.advance(1_000);
    expect(sessions.states.get("run")?.answeredSinceMs).toBeGreaterThan(startedAtMs + 2_000);
    expect(await sessions.stop("run")).toBe(true);
    const { results } = sessions.states.get("run") ?? {};
    expect(results?.map(({ vmKey, name }) => `${vmKey} ${name}`)).toEqual([
      "ns/a udp",
      "ns/a web",
      "ns/b udp",
      "ns/b web",
    ]);
    expect(results?.every(({ facts }) => facts.lost > 0 && facts.outageCount === 1)).toBe(true);
  });

  it("begin once for a run, and stop once", async () => {
    const { sessions } = rig();
    sessions.start("run", ["ns/a"], probes);
    expect(sessions.start("run", ["ns/a"], probes)).toBe(false);
    await sessions.stop("run");
    expect(await sessions.stop("run")).toBe(false);
    expect(await sessions.stop("unknown")).toBe(false);
  });

  it("all stop with the leadership, and none begins after it", async () => {
    const { sessions } = rig();
    sessions.start("run", ["ns/a"], probes);
    await sessions.end();
    expect(sessions.states.get("run")?.results).toHaveLength(2);
    expect(sessions.start("next", ["ns/a"], probes)).toBe(false);
  });

  it("are remembered for a few runs only", () => {
    const { sessions } = rig();
    for (let i = 0; i < 9; i++) sessions.start(`run-${i}`, [], probes);
    expect(sessions.states.size).toBe(4);
  });
});

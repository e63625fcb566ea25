// The administrator of a world: what a person asks of the API server, by hand or with kubectl.
import { CONFIRM_OFF_ANNOTATION, CONFIRM_OFF_BY_ANNOTATION } from "../../../src/model/confirmation.ts";
import { objectIn, textOf } from "../api/json.ts";
import { resourceNamed } from "../api/resources.ts";
import { ADMIN } from "./install.ts";
import { BEGAN_WALL_MS } from "./sim-time.ts";
import type { Act } from "./world-plan.ts";
import type { World } from "./world.ts";

const HOLDFAST_API = "/apis/holdfast.dev/v1alpha1";
const NODES = resourceNamed("v1/nodes");
const FENCINGS = resourceNamed("holdfast.dev/v1alpha1/nodefencings");

/** A request of the administrator; what comes of it is the history's business. */
export function ask(
  world: World,
  method: "POST" | "PUT" | "PATCH" | "DELETE",
  path: string,
  body: object = {},
): void {
  if (world.backbone.state !== "well") return;
  const contentType = method === "PATCH" ? "application/merge-patch+json" : "application/json";
  void world.server.handle({ method, path, body, contentType }, ADMIN);
}

const ASK_AGAIN_MS = 5_000;

/** What a person does not forget to undo: asked as soon as the API server can take it. */
export function askUntilHeard(
  world: World,
  ...request: Parameters<typeof ask> extends [World, ...infer R] ? R : never
): void {
  if (world.backbone.state === "well") ask(world, ...request);
  else world.time.schedule(ASK_AGAIN_MS, () => askUntilHeard(world, ...request));
}

type HoldfastAct = Extract<Act, { readonly kind: "confirmOff" | "requestFencing" | "disarm" }>;

/** What a person asks of Holdfast through its own objects. */
export function askHoldfast(world: World, act: HoldfastAct): () => void {
  switch (act.kind) {
    case "confirmOff":
      confirmOff(world, act.node, act.by);
      return () => undefined;
    case "requestFencing":
      requestFencing(world, act.node, act.by);
      return () => undefined;
    case "disarm": {
      const name = `disarm-${Math.round(world.time.nowMs)}`;
      ask(world, "POST", `${HOLDFAST_API}/fencingdisarms`, {
        apiVersion: "holdfast.dev/v1alpha1",
        kind: "FencingDisarm",
        metadata: { name },
        spec: {
          reason: act.reason,
          until: timestampAt(world.time.nowMs + act.untilMs),
          ...(act.nodeLabels === undefined ? {} : { nodeSelector: { matchLabels: act.nodeLabels } }),
        },
      });
      return () => ask(world, "DELETE", `${HOLDFAST_API}/fencingdisarms/${name}`);
    }
  }
}

/** As `kubectl holdfast confirm-off`: the person names the boot ID that the ledger is about. */
function confirmOff(world: World, node: string, by: string): void {
  for (const fencing of world.server.store.list(FENCINGS)) {
    const spec = objectIn(fencing, "spec");
    const { phase } = objectIn(fencing, "status");
    if (spec["nodeName"] !== node || phase === "Returned" || phase === "Aborted") continue;
    ask(world, "PATCH", `${HOLDFAST_API}/nodefencings/${fencing.metadata.name}`, {
      metadata: {
        annotations: {
          [CONFIRM_OFF_ANNOTATION]: textOf(spec["bootID"]),
          [CONFIRM_OFF_BY_ANNOTATION]: by,
        },
      },
    });
  }
}

/** As `kubectl holdfast fence`. */
function requestFencing(world: World, node: string, by: string): void {
  const found = world.server.store.get(NODES, undefined, node)?.object;
  if (found === undefined) return;
  const nowText = timestampAt(world.time.nowMs);
  ask(world, "POST", `${HOLDFAST_API}/nodefencings`, {
    apiVersion: "holdfast.dev/v1alpha1",
    kind: "NodeFencing",
    metadata: { name: `nf-${node}-asked-${Math.round(world.time.nowMs)}` },
    spec: {
      nodeName: node,
      nodeUID: found.metadata.uid,
      bootID: textOf(objectIn(objectIn(found, "status"), "nodeInfo")["bootID"]),
      reason: "Requested",
      message: `asked for by ${by}`,
      detectedAt: nowText,
      lastSeenAt: nowText,
    },
  });
}

/** Whole seconds, as people write them. */
function timestampAt(virtualMs: number): string {
  return new Date(BEGAN_WALL_MS + virtualMs).toISOString().replace(/\.\d+Z$/, "Z");
}

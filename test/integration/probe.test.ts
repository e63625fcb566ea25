// A second path to the nodes, on real connections: a node whose kubelet cannot reach the API server while its host answers
// us is isolated, and its guests are left alone.
import { once } from "node:events";
import { createServer, type AddressInfo, type Server } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { useOperatorRig } from "../support/operator-rig.ts";

const rig = useOperatorRig({ nodes: 3 });
const KEY = "example.com/storage-ip";

let host: Server;
beforeAll(async () => {
  host = createServer((socket) => socket.on("error", () => {})).listen(0, "127.0.0.1");
  await once(host, "listening");
});
afterAll(() => host.close());

test("a node that is cut off while its host answers is isolated and not fenced; once nothing answers, it is lost", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  await rig().patch("/api/v1/nodes/node-1", { metadata: { annotations: { [KEY]: "127.0.0.1" } } });
  const { operator } = await rig().startLeader({
    probe: {
      method: "tcp",
      port: (host.address() as AddressInfo).port,
      addresses: [{ kind: "annotation", key: KEY }],
      periodMs: 5_000,
    },
  });
  const verdict = () => operator.lastPlan?.verdicts.get("node-1");
  await waitFor(
    "the host has answered",
    () => operator.world.snapshot(undefined).probes.get("node-1")?.[0]?.answeredAtMs,
  );
  rig().node("node-1").cutApi();
  await waitFor(
    "it is isolated",
    (saw) => {
      saw(verdict());
      return verdict()?.kind === "isolated" || undefined;
    },
    60_000,
  );
  await rig().untilCondition(key, "Available", "Unknown", "NodeIsolated");
  expect(rig().fencings("node-1")).toEqual([]);
  expect(rig().resets("node-1")).toEqual([]);
  expect(rig().cluster.oracle.history(key)).toHaveLength(1);

  // The network that answered is no longer the node's: what is known of it begins anew, and nothing speaks for the node.
  await rig().patch("/api/v1/nodes/node-1", { metadata: { annotations: { [KEY]: null } } });
  await rig().untilRestarted([key]);
  rig().node("node-1").healApi();
  await rig().untilReturned("node-1");
});

// No password ever shows: fencings that succeed, are denied, time out, meet garbage, and meet a device that quotes the
// password back; then everything that people and programs can read is searched for it, in every form it takes on the wire.
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, expect, test } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { BMC_ADDRESS_ANNOTATION } from "../../lab/holdfast/bmcs.ts";
import { apply } from "../../lab/holdfast/install.ts";
import { type ReplicaProcess, startReplicaProcess } from "../../lab/holdfast/replica-process.ts";
import { readReadiness } from "../../src/api/fencing-readiness.ts";
import { attemptsMade, LONG_MS } from "../support/holdfast-lab.ts";
import { useOperatorRig } from "../support/operator-rig.ts";

const CANARY = 'C4nary/"pw"&7Qz%9';
const FOREIGN_CANARY = "F0reignC4nary8Xy";
/** The password as it may appear: itself, in JSON, in a URL, in Basic credentials. */
const FORMS = [
  CANARY,
  JSON.stringify(CANARY).slice(1, -1),
  JSON.stringify(JSON.stringify(CANARY).slice(1, -1)).slice(1, -1),
  encodeURIComponent(CANARY),
  btoa(CANARY),
  btoa(`holdfast:${CANARY}`),
  FOREIGN_CANARY,
  btoa(FOREIGN_CANARY),
];

const rig = useOperatorRig({ nodes: 6, topology: { password: CANARY, timeout: "5s", retries: 0 } });
const closers: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closers) await close();
});

/** Answers the service root, so that it is spoken to further, and everything else with an error that quotes the request. */
async function quote(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = "";
  for await (const chunk of request) body += String(chunk);
  const basic = request.headers.authorization?.split(" ")[1] ?? "";
  const said = `rejected ${body} ${request.headers.authorization ?? ""} ${atob(basic)}`;
  const isRoot = request.method === "GET" && request.url === "/redfish/v1/";
  response.writeHead(isRoot ? 200 : 500, { "content-type": "application/json" });
  const root = {
    "@odata.id": "/redfish/v1/",
    Systems: { "@odata.id": "/redfish/v1/Systems" },
    Links: { Sessions: { "@odata.id": "/redfish/v1/SessionService/Sessions" } },
  };
  response.end(JSON.stringify(isRoot ? root : { error: { code: "x", message: said } }));
}

/** A device that says no to everything, and quotes the credentials that it was given in its error. */
async function startQuotingDevice(): Promise<Server> {
  const { certPem: cert, keyPem: key } = rig().cluster.controlPlane.certificateFor({
    commonName: "quoting",
    hosts: ["127.0.0.1"],
  });
  const server = createServer({ cert, key }, (request, response) => void quote(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return server;
}

/** Everything of ours that people and programs can read. */
async function everythingReadable(replica: ReplicaProcess): Promise<Readonly<Record<string, string>>> {
  const metrics = await fetch(`http://127.0.0.1:${replica.port}/metrics`);
  const kinds =
    "nodes,events,fencingtopologies,nodefencings,havirtualmachines,havirtualmachinepolicies,leases,configmaps";
  return {
    log: readFileSync(replica.logPath, "utf8"),
    metrics: await metrics.text(),
    objects: await rig().kubectl("get", kinds, "-A", "-o", "json", "--show-managed-fields"),
  };
}

async function startProcess(): Promise<ReplicaProcess> {
  const replica = await startReplicaProcess(rig().cluster.controlPlane, {
    name: "canary",
    flags: [
      "--log-level=trace",
      "--fencing-check-interval=3s",
      "--probe-method=off",
      "--node-suspect-after=3s",
      "--node-lost-after=5s",
      "--storm-max-lost-nodes=100%",
      "--max-concurrent-fencings=6",
    ],
  });
  closers.push(() => replica.stop());
  return replica;
}

test("a password shows nowhere, whatever its device answers", { timeout: 240_000 }, async () => {
  const vms = [1, 2, 3, 4, 5].map((i) => ({ name: `vm-${i}`, on: `node-${i}` }));
  await rig().createRunning(...vms);
  const quoting = await startQuotingDevice();
  const { port } = quoting.address() as AddressInfo;
  await rig().patch("/api/v1/nodes/node-5", {
    metadata: { annotations: { [BMC_ADDRESS_ANNOTATION]: `127.0.0.1:${port}` } },
  });
  const replica = await startProcess();
  await rig().bmcs.of("node-2").faults.set({ wrongPassword: true });
  await rig().bmcs.of("node-3").faults.set({ silent: true });
  await rig().bmcs.of("node-4").faults.set({ garbage: true });
  for (const { on } of vms) rig().node(on).hang();
  const outcomes: Record<string, string | undefined> = {};
  for (const { on } of vms) {
    const fencing = await rig().untilFencing(
      on,
      "its first attempt has ended",
      (one) => (attemptsMade(one)[0]?.outcome ?? "Started") !== "Started",
    );
    outcomes[on] = attemptsMade(fencing)[0]?.outcome;
  }
  expect(outcomes).toEqual({
    "node-1": "PoweredOff",
    "node-2": "Denied",
    "node-3": expect.stringMatching(/^(TimedOut|Unreachable)$/),
    "node-4": "Unreachable",
    "node-5": expect.stringMatching(/^(TimedOut|Unreachable)$/),
  });
  const readable = await everythingReadable(replica);
  // That the search would find something: each text is there, and tells of these very fencings.
  expect(readable["log"]).toContain("fence device");
  expect(readable["metrics"]).toContain("holdfast_fencing_ready{");
  expect(readable["objects"]).toMatch(/rejected/);
  for (const [where, text] of Object.entries(readable)) {
    for (const form of FORMS) expect(text.includes(form), `${form} in ${where}`).toBe(false);
  }
  await replica.stop();
});

test("a Secret in another namespace is refused, and the reason says whose right is missing; once the right is given it is used", async () => {
  await apply(rig().admin, {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "foreign", namespace: "default" },
    stringData: { username: "admin", password: FOREIGN_CANARY },
  } as never);
  await apply(rig().admin, {
    apiVersion: "holdfast.dev/v1alpha1",
    kind: "FencingTopology",
    metadata: { name: "foreign" },
    spec: {
      precedence: 10,
      nodeSelector: { matchLabels: { "kubernetes.io/hostname": "node-6" } },
      levels: [
        {
          name: "far",
          method: "Redfish",
          redfish: {
            address: "https://127.0.0.1:1",
            credentialsSecretRef: { name: "foreign", namespace: "default" },
          },
        },
      ],
    },
  } as never);
  const replica = await startProcess();
  const told = (reason: string) =>
    waitFor(
      `node-6 says ${reason}`,
      async (saw) => {
        const node = await rig().admin.request<{ readonly status: { readonly conditions: never } }>({
          method: "GET",
          path: "/api/v1/nodes/node-6",
        });
        const far = node.ok
          ? readReadiness(node.value.status.conditions).find(({ level }) => level === "far")
          : undefined;
        saw(far);
        return far?.reason === reason ? far : undefined;
      },
      LONG_MS,
    );
  const found = await told("Misconfigured");
  expect(found).toMatchObject({ ready: false, reason: "Misconfigured" });
  expect(found.message).toMatch(
    /Secret default\/foreign: .*holdfast.* cannot get resource "secrets".* in the namespace "default"/,
  );
  await rig().kubectl(
    "create",
    "role",
    "bmc",
    "-n=default",
    "--verb=get",
    "--resource=secrets",
    "--resource-name=foreign",
  );
  await rig().kubectl(
    "create",
    "rolebinding",
    "bmc",
    "-n=default",
    "--role=bmc",
    "--serviceaccount=holdfast-system:holdfast",
  );
  // With the password it gets as far as to the device, where nobody listens.
  expect((await told("DeviceUnreachable")).message).toContain("127.0.0.1:1");
  const readable = await everythingReadable(replica);
  for (const [where, text] of Object.entries(readable))
    expect(text.includes(FOREIGN_CANARY), where).toBe(false);
  await replica.stop();
});

// The simulated API server is worth what it shares with the real one: the same conversations, the same answers.
import { beforeAll, expect, it } from "vitest";
import { installHoldfast } from "../../lab/holdfast/install.ts";
import { standInCrds } from "../../lab/kubevirt/crds.ts";
import { installCrds } from "../../lab/kubevirt/installation.ts";
import type { ApiTransport } from "../../src/kube/transport.ts";
import { clearLink, SimConnection } from "../sim/api/connection.ts";
import { CONVERSATIONS, Talk } from "../sim/api/conversations.ts";
import { SimApiServer } from "../sim/api/server.ts";
import { Chance } from "../sim/world/random.ts";
import { SimTime } from "../sim/world/sim-time.ts";
import { useControlPlane } from "./control-plane-fixture.ts";

const SETUP_DEADLINE_MS = 120_000;

const controlPlane = useControlPlane({ controllers: false });

beforeAll(async () => {
  const { admin } = controlPlane();
  await installCrds(admin, standInCrds());
  await installHoldfast(admin);
}, SETUP_DEADLINE_MS);

it.each(CONVERSATIONS.map((conversation, at) => ({ ...conversation, at })))(
  "$about, as on the real API server",
  async ({ hold, at }) => {
    const namespace = `talk-${at}`;
    const real = new Talk(controlPlane().admin);
    await createNamespace(controlPlane().admin, namespace);
    await hold(real, namespace);
    const time = new SimTime();
    const server = new SimApiServer({ chance: new Chance(1), wallMs: () => Date.now() });
    const connection = new SimConnection({
      backbone: { time, server, state: "well", watches: new Set() },
      user: "admin",
      link: clearLink(),
    });
    const simulated = new Talk(connection);
    await createNamespace(connection, namespace);
    await hold(simulated, namespace);
    expect(simulated.answers).toEqual(real.answers);
    expect(real.answers.length).toBeGreaterThanOrEqual(5);
  },
);

/** With the ServiceAccount that pods want, since no controller makes it here. */
async function createNamespace(api: ApiTransport, name: string): Promise<void> {
  await api.request({
    method: "POST",
    path: "/api/v1/namespaces",
    body: { apiVersion: "v1", kind: "Namespace", metadata: { name } },
  });
  await api.request({
    method: "POST",
    path: `/api/v1/namespaces/${name}/serviceaccounts`,
    body: { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: name } },
  });
}

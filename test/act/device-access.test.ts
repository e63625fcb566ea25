// From a level to what its devices are told: templates, Secrets and certificates, method by method.
import { describe, expect, it } from "vitest";
import { readAccess } from "../../src/act/device-access.ts";
import type { FenceAgentSettings, NamedDevice, PowerMethod } from "../../src/model/fencing.ts";
import { ActScene, LEVEL, NODE, NODE_PATH } from "./act-fixture.ts";

const PDU_SECRET = "/api/v1/namespaces/secrets/secrets/pdu";

function agent(change: Partial<FenceAgentSettings> = {}): PowerMethod {
  return {
    method: "FenceAgent",
    fenceAgent: {
      agent: "fence_apc_snmp",
      parameters: { ip: "10.0.0.9", plug: "${node.annotations['outlet']}" },
      parametersSecret: { name: "pdu", namespace: "secrets" },
      caSecret: undefined,
      ...change,
    },
  };
}

async function access(level: PowerMethod, outlet = "17") {
  const scene = new ActScene();
  scene.api.objects.change(NODE_PATH, (node) => {
    Object.assign(node.metadata, { annotations: { outlet } });
  });
  scene.api.objects.seed(PDU_SECRET, {
    data: { username: btoa("apc"), password: btoa("s3cret\n"), "ca.crt": btoa("PEM") },
  });
  const context = scene.context();
  return scene.finish(readAccess(context, level, NODE));
}

describe("a fence agent's settings", () => {
  it("are filled in from the node, and every key of the Secret is a parameter", async () => {
    expect(
      await access(agent({ caSecret: { name: "pdu", namespace: "secrets", key: "ca.crt" } })),
    ).toMatchObject({
      ok: true,
      access: {
        method: "FenceAgent",
        fenceAgent: {
          agent: "fence_apc_snmp",
          parameters: { ip: "10.0.0.9", plug: "17" },
          secretParameters: { username: "apc", password: "s3cret" },
          caPem: "PEM",
        },
      },
    });
  });

  it("may do without a Secret", async () => {
    expect(await access(agent({ parametersSecret: undefined }))).toMatchObject({
      access: { fenceAgent: { secretParameters: {} } },
    });
  });

  it.each([
    ["a line break, which would begin another parameter", "17\naction=on"],
    ["a comma, which would begin another machine", "17,18"],
    ["a blank, which would begin another argument", "17 -o ProxyCommand=sh"],
    ["a quotation mark", "17'"],
    ["a dash at its beginning, as options have it", "-oProxyCommand"],
  ])("are refused where an annotation holds %s", async (_what, outlet) => {
    expect(await access(agent(), outlet)).toMatchObject({
      ok: false,
      end: {
        outcome: "Misconfigured",
        answer: expect.stringContaining("parameter plug of worker-1 would be"),
      },
    });
  });

  it("name the reference that the node has not", async () => {
    const level = agent({ parameters: { plug: "${node.labels['plug']}" } });
    expect(await access(level)).toMatchObject({
      ok: false,
      end: { answer: "parameter plug needs ${node.labels['plug']}, which worker-1 has not" },
    });
  });

  it("say which Secret is missing", async () => {
    expect(await access(agent({ parametersSecret: { name: "gone", namespace: undefined } }))).toMatchObject({
      ok: false,
      end: { outcome: "Misconfigured", answer: expect.stringContaining("Secret holdfast-system/gone") },
    });
  });
});

describe("several devices", () => {
  const pdu = (name: string): NamedDevice => ({ ...(agent() as NamedDevice), name });

  it("are each filled in, and a Secret that they share is read once", async () => {
    const scene = new ActScene();
    scene.api.objects.change(NODE_PATH, (node) => {
      Object.assign(node.metadata, { annotations: { outlet: "17" } });
    });
    scene.api.objects.seed(PDU_SECRET, { data: { password: btoa("s3cret") } });
    const level: PowerMethod = { method: "AllOf", devices: [pdu("a"), pdu("b")] };
    const readied = await scene.finish(readAccess(scene.context(), level, NODE));
    expect(readied).toMatchObject({ ok: true, access: { devices: [{ name: "a" }, { name: "b" }] } });
    expect(scene.api.seen.filter(({ path }) => path === PDU_SECRET)).toHaveLength(1);
  });

  it("are refused together where one of them cannot be reached, which is named", async () => {
    const broken: NamedDevice = {
      ...LEVEL,
      name: "b",
      redfish: { ...LEVEL.redfish, address: "https://${node.labels['x']}" },
    };
    expect(await access({ method: "AllOf", devices: [pdu("a"), broken] })).toMatchObject({
      ok: false,
      end: { outcome: "Misconfigured", answer: expect.stringMatching(/^device b: address needs/) },
    });
  });
});

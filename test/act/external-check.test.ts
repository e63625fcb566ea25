import { describe, expect, it } from "vitest";
import { checkExternal } from "../../src/act/readiness/external-check.ts";
import type { ExternalLevel } from "../../src/model/fencing.ts";
import { STORAGE_CLIENTS_ANNOTATION } from "../../src/model/storage-clients.ts";
import { failing } from "../support/fake-api.ts";
import { type ActScene, BOOT_ID, NODE, NODE_PATH } from "./act-fixture.ts";
import { REMEDIATION, remediationScene, TEMPLATE } from "./remediation-world.ts";

const CLASS = "/apis/csiaddons.openshift.io/v1alpha1/networkfenceclasses/ceph";
const CEPH: ExternalLevel = {
  name: "ceph",
  method: "NetworkFence",
  timeoutMs: 30_000,
  retries: 0,
  backoffMs: 5_000,
  acceptWeakProof: ["StorageFenced"],
  networkFence: { className: "ceph", cidrs: [] },
};

async function check(scene: ActScene, level: ExternalLevel): Promise<string> {
  const before = scene.api.writes.length;
  const found = await scene.finish(checkExternal(scene.context(), level, NODE));
  expect(scene.api.writes.slice(before), "a check writes nothing").toEqual([]);
  return found === undefined ? "nothing said" : `${found.kind}: ${found.message}`;
}

describe("a remediation level", () => {
  const far = REMEDIATION as ExternalLevel;

  it("is ready where its template is there", async () => {
    expect(await check(remediationScene(), far)).toMatch(/^ready: /);
  });

  it.each<[string, (scene: ActScene) => void, RegExp]>([
    ["the template is gone", (scene) => scene.api.objects.drop(TEMPLATE), /broken: .*medik8s\/reboot/],
    [
      "the template holds nothing",
      (scene) => scene.api.objects.change(TEMPLATE, (template) => (template.spec = {})),
      /broken: .*no spec\.template/,
    ],
    [
      "the node must not be remediated",
      (scene) =>
        scene.api.objects.change(NODE_PATH, (node) => {
          node.metadata.labels = { "remediation.medik8s.io/exclude-from-remediation": "true" };
        }),
      /broken: .*must not be remediated/,
    ],
    [
      "its operator is not installed",
      (scene) => (scene.api.intercept = ({ path }) => (path.endsWith("/v1alpha1") ? NOT_SERVED : undefined)),
      /broken: .*is not served/,
    ],
  ])("is not where %s", async (_what, happen, says) => {
    const scene = remediationScene();
    happen(scene);
    expect(await check(scene, far)).toMatch(says);
  });

  it("is not where it could only bring a proof that it does not accept", async () => {
    if (far.method !== "Remediation") throw new Error("another method");
    const template = { ...far.remediation.template, kind: "SelfNodeRemediationTemplate" };
    expect(await check(remediationScene(), { ...far, remediation: { template } })).toMatch(
      /broken: .*acceptWeakProof/,
    );
  });

  it("is not to blame where the API server does not answer", async () => {
    const scene = remediationScene();
    scene.api.intercept = ({ path }) => (path === TEMPLATE ? failing("unreachable") : undefined);
    expect(await check(scene, far)).toBe("nothing said");
  });
});

describe("a storage level", () => {
  function storageScene(bootID: string | undefined, withClass = true): ActScene {
    const scene = remediationScene();
    if (withClass) scene.api.objects.seed(CLASS, {});
    const record = { bootID, recordedAt: "2026-11-22T00:00:00Z", classes: { ceph: ["10.0.0.1/32"] } };
    scene.api.objects.change(NODE_PATH, (node) => {
      node.metadata.annotations = { [STORAGE_CLIENTS_ANNOTATION]: JSON.stringify(record) };
    });
    return scene;
  }

  it.each<[string, ActScene, RegExp]>([
    ["ready where class and addresses are known", storageScene(BOOT_ID), /^ready: /],
    ["not without its class", storageScene(BOOT_ID, false), /^broken: .*networkfenceclasses\/ceph/],
    ["not without the addresses of this boot", storageScene("boot-0"), /^broken: .*no storage addresses/],
  ])("is %s", async (_what, scene, says) => {
    expect(await check(scene, CEPH)).toMatch(says);
  });
});

const NOT_SERVED = failing("notFound", "the server could not find the requested resource");

import { describe, expect, it } from "vitest";
import { performStep } from "../../src/act/performer.ts";
import type { CreateMigrationStep, Step } from "../../src/model/plan.ts";
import { readMigration } from "../../src/observe/facts/migration.ts";
import { refusing } from "../support/fake-api.ts";
import { ActScene } from "./act-fixture.ts";

const VM = "/apis/kubevirt.io/v1/namespaces/prod/virtualmachines/db";
const VMI = "/apis/kubevirt.io/v1/namespaces/prod/virtualmachineinstances/db";
const MIGRATIONS = "/apis/kubevirt.io/v1/namespaces/prod/virtualmachineinstancemigrations";
const ACTIONS = "/apis/subresources.kubevirt.io/v1/namespaces/prod/virtualmachines/db";

const START: Step = { kind: "StartVM", vmKey: "prod/db" };
const RESTART: Step = { kind: "RestartVM", vmKey: "prod/db", vmiUID: "vmi-uid" };
const MIGRATE: CreateMigrationStep = {
  kind: "CreateMigration",
  vmKey: "prod/db",
  vmiUID: "vmi-uid",
  name: "holdfast-db-1",
  purpose: "Evacuation",
  targetSelector: {},
  unschedulableTimeoutSeconds: 60,
};

function scene(runStrategy = "Manual"): ActScene {
  const made = new ActScene();
  made.api.objects.seed(VM, { spec: { runStrategy } });
  made.api.objects.seed(VMI, { metadata: { uid: "vmi-uid" } });
  made.api.intercept = ({ method }) =>
    method === "PUT" ? { ok: true, status: 202, value: undefined } : undefined;
  return made;
}

/** KubeVirt answers the action, or the creation of a migration, with a refusal. */
function refused(status: number, message: string, reason?: string): ActScene {
  const made = scene();
  made.api.intercept = ({ method }) => {
    if (method !== "PUT" && method !== "POST") return undefined;
    return refusing(method, status, reason === undefined ? { message } : { message, reason });
  };
  return made;
}

function perform(made: ActScene, step: Step) {
  return performStep(step, made.context());
}

describe("starting a VM", () => {
  it("asks KubeVirt's start subresource", async () => {
    const made = scene();
    expect(await perform(made, START)).toEqual({ outcome: "done" });
    expect(made.api.writes).toEqual([`PUT ${ACTIONS}/start`]);
  });

  for (const strategy of ["Halted", "Always", "Once"]) {
    it(`is refused when its run strategy is ${strategy} by now: start on a halted VM would make it run always`, async () => {
      const made = scene(strategy);
      expect(await perform(made, START)).toMatchObject({
        outcome: "refused",
        detail: expect.stringContaining(strategy),
      });
      expect(made.api.writes).toEqual([]);
    });
  }

  it("is unnecessary when the VM is gone", async () => {
    const made = scene();
    made.api.objects.drop(VM);
    expect(await perform(made, START)).toMatchObject({ outcome: "unchanged" });
  });

  for (const [status, message, outcome] of [
    [409, 'Operation cannot be fulfilled on virtualmachine "db": VM is already running', "unchanged"],
    [500, "unable to complete request: stop/start already underway", "unchanged"],
    [409, "the server rejected our request: jsonpatch test operation does not apply", "conflict"],
    [400, "bad request", "refused"],
    [403, "forbidden", "refused"],
    [503, "no endpoints available for service virt-api", "retry"],
  ] as const) {
    it(`is ${outcome} when virt-api answers ${status} ${message}`, async () => {
      expect(await perform(refused(status, message), START)).toMatchObject({ outcome, detail: message });
    });
  }
});

describe("restarting a VM", () => {
  it("asks KubeVirt's restart subresource while the VMI meant still runs", async () => {
    const made = scene();
    expect(await perform(made, RESTART)).toEqual({ outcome: "done" });
    expect(made.api.writes).toEqual([`PUT ${ACTIONS}/restart`]);
  });

  it("is not repeated on the VMI that the restart has brought", async () => {
    const made = scene();
    made.api.objects.seed(VMI, { metadata: { uid: "next-uid" } });
    expect(await perform(made, RESTART)).toMatchObject({ outcome: "unchanged" });
    expect(made.api.writes).toEqual([]);
  });

  it("is unnecessary when nothing runs", async () => {
    const made = scene();
    made.api.objects.drop(VMI);
    expect(await perform(made, RESTART)).toMatchObject({ outcome: "unchanged" });
  });
});

describe("deleting a VMI", () => {
  it("removes the one meant", async () => {
    const made = scene();
    expect(await perform(made, { kind: "DeleteVMI", vmKey: "prod/db", vmiUID: "vmi-uid" })).toEqual({
      outcome: "done",
    });
    expect(made.api.objects.peek(VMI)).toBeUndefined();
  });

  it("leaves its successor alone", async () => {
    const made = scene();
    const step: Step = { kind: "DeleteVMI", vmKey: "prod/db", vmiUID: "earlier-uid" };
    expect(await perform(made, step)).toMatchObject({ outcome: "unchanged" });
    expect(made.api.objects.peek(VMI)).toBeDefined();
  });
});

describe("a migration", () => {
  it("is created under the planned name, marked as ours, without owner or target", async () => {
    const made = scene();
    expect(await perform(made, MIGRATE)).toEqual({ outcome: "done" });
    const { metadata, spec } = made.api.objects.peek(`${MIGRATIONS}/holdfast-db-1`) ?? {};
    expect(spec).toEqual({ vmiName: "db" });
    expect(metadata).toMatchObject({
      labels: {
        "app.kubernetes.io/managed-by": "holdfast",
        "holdfast.dev/purpose": "Evacuation",
        "holdfast.dev/vmi-uid": "vmi-uid",
      },
      annotations: { "kubevirt.io/migrationUnschedulablePodTimeoutSeconds": "60" },
    });
    expect(metadata).not.toHaveProperty("ownerReferences");
    expect(made.ownWrites).toEqual(["migrations/holdfast-db-1"]);
  });

  it("is known again as ours by the facts, with its purpose and its VMI", async () => {
    const made = scene();
    await perform(made, MIGRATE);
    const raw = made.api.objects.peek(`${MIGRATIONS}/holdfast-db-1`);
    const read = readMigration(raw, { seenAtMs: 0, seenAtWallMs: 0, previous: undefined });
    expect(read).toMatchObject({ fact: { purpose: "Evacuation", forVMI: "vmi-uid", vmiKey: "prod/db" } });
  });

  it("goes to a target where one is asked for", async () => {
    const made = scene();
    const targetSelector = { "kubernetes.io/hostname": "worker-2" };
    await perform(made, { ...MIGRATE, targetSelector });
    expect(made.api.objects.peek(`${MIGRATIONS}/holdfast-db-1`)?.spec).toMatchObject({
      addedNodeSelector: targetSelector,
    });
  });

  it("that exists already is as good", async () => {
    const made = scene();
    await perform(made, MIGRATE);
    expect(await perform(made, MIGRATE)).toMatchObject({ outcome: "unchanged" });
  });

  for (const [status, message, reason, outcome] of [
    [
      400,
      "admission webhook denied the request: in-flight migration detected. Active migration job (u) …",
      undefined,
      "unchanged",
    ],
    [409, 'virtualmachineinstancemigrations "holdfast-db-1" already exists', "AlreadyExists", "unchanged"],
    [400, "Cannot migrate VMI, Reason: DisksNotLiveMigratable", undefined, "refused"],
    [422, "only virt-controller is allowed to set priority field", "Invalid", "refused"],
    [500, "failed calling webhook: connection refused", "InternalError", "retry"],
  ] as const) {
    it(`is ${outcome} when KubeVirt answers ${status} ${message.slice(0, 60)}`, async () => {
      expect(await perform(refused(status, message, reason), MIGRATE)).toMatchObject({
        outcome,
        detail: message,
      });
    });
  }

  it("is called off by deleting the one meant", async () => {
    const made = scene();
    made.api.objects.seed(`${MIGRATIONS}/holdfast-db-1`, { metadata: { uid: "vmim-uid" } });
    const step: Step = {
      kind: "AbortMigration",
      namespace: "prod",
      name: "holdfast-db-1",
      uid: "vmim-uid",
      why: "",
    };
    expect(await perform(made, { ...step, uid: "other-uid" })).toMatchObject({ outcome: "unchanged" });
    expect(made.api.objects.peek(`${MIGRATIONS}/holdfast-db-1`)).toBeDefined();
    expect(await perform(made, step)).toEqual({ outcome: "done" });
    expect(await perform(made, step)).toMatchObject({ outcome: "unchanged" });
  });
});

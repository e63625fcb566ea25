// A scene with a medik8s operator's kinds in it: templates, what is made from them, and the words of its controller.
import type { FencingLevel } from "../../src/model/fencing.ts";
import type { FakeObject } from "../support/fake-objects.ts";
import { ActScene, NODE } from "./act-fixture.ts";

export const GROUP = "fence-agents-remediation.medik8s.io/v1alpha1";
export const REMEDIATIONS = `/apis/${GROUP}/namespaces/medik8s/fenceagentsremediations`;
export const TEMPLATE = `/apis/${GROUP}/namespaces/medik8s/fenceagentsremediationtemplates/reboot`;
export const NODE_LEASE = `/apis/coordination.k8s.io/v1/namespaces/medik8s-leases/leases/node-${NODE}`;

export const REMEDIATION: FencingLevel = {
  name: "far",
  method: "Remediation",
  timeoutMs: 60_000,
  retries: 0,
  backoffMs: 5_000,
  acceptWeakProof: [],
  remediation: {
    template: {
      apiVersion: GROUP,
      kind: "FenceAgentsRemediationTemplate",
      name: "reboot",
      namespace: "medik8s",
    },
  },
};

/** A scene in which fence-agents-remediation is installed. `several`: its template understands the annotations. */
export function remediationScene(several = true): ActScene {
  const scene = new ActScene();
  const { objects } = scene.api;
  objects.seed(`/apis/${GROUP}`, {
    resources: [
      { name: "fenceagentsremediations", kind: "FenceAgentsRemediation", namespaced: true },
      { name: "fenceagentsremediations/status", kind: "FenceAgentsRemediation", namespaced: true },
      { name: "fenceagentsremediationtemplates", kind: "FenceAgentsRemediationTemplate", namespaced: true },
    ],
  });
  const annotations = several ? { "remediation.medik8s.io/multiple-templates-support": "true" } : {};
  const spec = { template: { spec: { agent: "fence_ipmilan", sharedparameters: { "--lanplus": "" } } } };
  objects.seed(TEMPLATE, { metadata: { annotations }, spec });
  objects.serve(REMEDIATIONS);
  return scene;
}

/** The remediations that stand, the oldest first. */
export function remediations(scene: ActScene): readonly FakeObject[] {
  const { objects } = scene.api;
  return objects.list(REMEDIATIONS).flatMap((path) => objects.peek(path) ?? []);
}

/** The remediator speaks about all that stand, once there are any. */
export function says(
  scene: ActScene,
  type: string,
  status: "True" | "False",
  at = "2026-11-22T00:00:10Z",
): void {
  for (const path of scene.api.objects.list(REMEDIATIONS)) {
    scene.api.objects.change(path, (object) => {
      const conditions = (object.status?.["conditions"] ?? []) as readonly { type: string }[];
      const others = conditions.filter((one) => one.type !== type);
      const condition = { type, status, reason: "Said", message: "", lastTransitionTime: at };
      object.status = { conditions: [...others, condition] };
    });
  }
}

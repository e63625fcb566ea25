// The lab's CSI driver as the cluster knows it: the CSIDriver object, and the rights of its attacher.
import type { ApiTransport } from "../../src/kube/transport.ts";
import type { Identity } from "../control-plane/start.ts";
import { apply } from "../kubevirt/calls.ts";

/** Name of the driver, in volumes, VolumeAttachments and CSINodes. */
export const CSI_DRIVER = "csi.lab.holdfast.dev";

/** Who the simulated external-attacher is. */
export const ATTACHER_IDENTITY: Identity = {
  user: "system:serviceaccount:lab-storage:csi-attacher",
  groups: ["system:serviceaccounts", "system:serviceaccounts:lab-storage"],
};

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const ROLE = "holdfast-lab-csi-attacher";

const DRIVER_OBJECT = {
  apiVersion: "storage.k8s.io/v1",
  kind: "CSIDriver",
  metadata: { name: CSI_DRIVER },
  spec: { attachRequired: true, podInfoOnMount: false, fsGroupPolicy: "None" },
};
const ROLE_OBJECT = {
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "ClusterRole",
  metadata: { name: ROLE },
  rules: [
    {
      apiGroups: ["storage.k8s.io"],
      resources: ["volumeattachments"],
      verbs: ["get", "list", "watch", "patch"],
    },
    { apiGroups: ["storage.k8s.io"], resources: ["volumeattachments/status"], verbs: ["patch"] },
  ],
};
const BINDING_OBJECT = {
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "ClusterRoleBinding",
  metadata: { name: ROLE },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: ROLE },
  subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: ATTACHER_IDENTITY.user }],
};

/** Creates the driver with `attachRequired`, so that attaching and detaching are kube-controller-manager's own business. */
export async function installCsiDriver(admin: ApiTransport): Promise<void> {
  await apply(admin, "/apis/storage.k8s.io/v1/csidrivers", DRIVER_OBJECT);
  await apply(admin, `${RBAC}/clusterroles`, ROLE_OBJECT);
  await apply(admin, `${RBAC}/clusterrolebindings`, BINDING_OBJECT);
}

// KubeVirt's control plane in miniature: own CRDs, virt-api's webhooks and verbs, virt-controller's controllers. A model for
// tests, faithful where the facts speak. docs/stand-in.md lists what differs from the real one.
import type { ApiTransport } from "../../src/kube/transport.ts";
import type { ControlPlane } from "../control-plane/start.ts";
import { ControllerView } from "./controller-view.ts";
import { standInCrds } from "./crds.ts";
import { EvacuationController } from "./evacuation-controller.ts";
import { installCrds, installKubeVirt, type KubeVirtConfiguration } from "./installation.ts";
import { MigrationController } from "./migration-controller.ts";
import { SERVICE_ACCOUNT_GROUPS, SERVICE_ACCOUNTS, serviceAccountUser } from "./names.ts";
import { NodeController } from "./node-controller.ts";
import { CORE_WEBHOOKS, registerVirtApi, unregisterVirtApi, VIRT_API_HOSTS } from "./registration.ts";
import { startVirtApi } from "./virt-api.ts";
import { VmController } from "./vm-controller.ts";
import { VmiController } from "./vmi-controller.ts";
import { Writes } from "./writes.ts";
import type { KubeVirt } from "./kubevirt.ts";

/** About eleven hundred VMI writes bring a hundred VMs back: spaced like this they alone take the measured 20 to 27 s. */
export const DEFAULT_VMI_WRITE_COST_MS = 20;

export interface StandInOptions {
  /** How long each write of a VMI keeps the others waiting; `DEFAULT_VMI_WRITE_COST_MS` unless said. */
  readonly vmiWriteCostMs?: number;
  /** Age of a virt-handler heartbeat that counts as silence; 5 minutes unless said, as in KubeVirt. */
  readonly heartbeatTimeoutMs?: number;
  /** How often nodes are looked at without any change; 1 minute unless said, as in KubeVirt. */
  readonly nodeRecheckMs?: number;
  /** Merged into `spec.configuration` of the KubeVirt object. */
  readonly configuration?: KubeVirtConfiguration;
  readonly onProgress?: (message: string) => void;
  /** Told of every key whose processing failed and will be tried again; most failures are ordinary conflicts. */
  readonly onRetry?: (controller: string, key: string, error: unknown) => void;
}

const HEARTBEAT_TIMEOUT_MS = 300_000;
const NODE_RECHECK_MS = 60_000;

/** Installs the stand-in and starts it; resolves once it works. Errors: throws when the control plane refuses a part. */
export async function startStandInKubeVirt(
  controlPlane: ControlPlane,
  options: StandInOptions = {},
): Promise<KubeVirt> {
  options.onProgress?.("KubeVirt stand-in: installing");
  await installCrds(controlPlane.admin, standInCrds());
  await installKubeVirt(controlPlane.admin, options.configuration ?? {});
  const api = controlPlane.transportFor(identityOf(SERVICE_ACCOUNTS.controller));
  const virtController = createVirtController(api, options);
  const virtApi = await startStandInVirtApi(controlPlane, virtController.view);
  await virtController.view.start();
  options.onProgress?.("KubeVirt stand-in: running");
  return {
    kind: "stand-in",
    stop: async () => {
      await virtController.stop();
      await virtApi.stop();
      await api.close();
    },
  };
}

/** virt-controller's controllers: they work once `view` is started. */
export interface VirtController {
  readonly view: ControllerView;
  stop(): Promise<void>;
}

/** Makes the controllers on any way to an API server, be it real or simulated. */
export function createVirtController(api: ApiTransport, options: StandInOptions = {}): VirtController {
  const view = new ControllerView(api);
  const controllers = startControllers(view, new Writes(api, view, writesOptions(options)), options);
  return {
    view,
    stop: async () => {
      await Promise.all(controllers.map((controller) => controller.stop()));
      await view.stop();
    },
  };
}

/** Registers and serves the stand-in's webhooks and verbs alone, for a real virt-controller without its virt-api. */
export async function startStandInVirtApi(
  controlPlane: ControlPlane,
  view: ControllerView,
): Promise<{ stop(): Promise<void> }> {
  const api = controlPlane.transportFor(identityOf(SERVICE_ACCOUNTS.api));
  const { certPem, keyPem } = controlPlane.certificateFor({ commonName: "virt-api", hosts: VIRT_API_HOSTS });
  const server = await startVirtApi({ api, settings: () => view.settings(), certPem, keyPem });
  await registerVirtApi(controlPlane.admin, { port: server.port, caPem: controlPlane.caPem }, CORE_WEBHOOKS);
  return {
    stop: async () => {
      await unregisterVirtApi(controlPlane.admin);
      await server.stop();
      await api.close();
    },
  };
}

function startControllers(view: ControllerView, writes: Writes, options: StandInOptions) {
  const retry = (controller: string) => (key: string, error: unknown) =>
    options.onRetry?.(controller, key, error);
  return [
    new VmController(view, writes, retry("vm")),
    new VmiController(view, writes, retry("vmi")),
    new MigrationController(view, writes, retry("migration")),
    new EvacuationController(view, writes, retry("evacuation")),
    new NodeController(view, writes, {
      heartbeatTimeoutMs: options.heartbeatTimeoutMs ?? HEARTBEAT_TIMEOUT_MS,
      recheckMs: options.nodeRecheckMs ?? NODE_RECHECK_MS,
      onFailure: retry("node"),
    }),
  ];
}

function writesOptions(options: StandInOptions) {
  return { vmiWriteCostMs: options.vmiWriteCostMs ?? DEFAULT_VMI_WRITE_COST_MS };
}

function identityOf(account: string) {
  return { user: serviceAccountUser(account), groups: SERVICE_ACCOUNT_GROUPS };
}

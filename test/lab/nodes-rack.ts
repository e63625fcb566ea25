// A rack of machines without any API server, for tests of what happens below it.
import { MEASURED_DELAYS, type NodeDelays } from "../../lab/nodes/delays.ts";
import { Launcher } from "../../lab/nodes/launcher.ts";
import { Machine } from "../../lab/nodes/machine.ts";
import { defaultProfile } from "../../lab/nodes/node-profile.ts";
import type { Pod } from "../../lab/nodes/objects.ts";
import { Oracle } from "../../lab/oracle/oracle.ts";

/** Short enough for a unit test, far enough apart to be told from each other. */
export const QUICK_DELAYS: NodeDelays = {
  ...MEASURED_DELAYS,
  guestBootMs: 10,
  guestShutdownMs: 10,
  preCopyMs: 40,
  containerStopMs: 5,
  launcherExtraGraceMs: 60,
  finalNotifyMs: 500,
  ioErrorResumeMs: 10,
  migrationProgressTimeoutMs: 100,
};

export const VM = "default/vm";
export const VMI_UID = "vmi-1";

export class Rack {
  readonly oracle = new Oracle();
  readonly machines = new Map<string, Machine>();
  storageAnswers = true;
  readonly #delays: NodeDelays;
  #pods = 0;

  constructor(delays: Partial<NodeDelays> = {}) {
    this.#delays = { ...QUICK_DELAYS, ...delays };
  }

  powerOn(name: string): Machine {
    const machine = new Machine({
      profile: { ...defaultProfile(this.machines.size + 1, "v1"), name },
      delays: this.#delays,
      witness: this.oracle,
      peers: {
        waitingLauncher: (node, uid) => {
          const peer = this.machines.get(node);
          return peer?.life.alive && !peer.life.frozen ? peer.runtime.launcherOf(uid) : undefined;
        },
        reaches: () => true,
      },
      storageAnswers: () => this.storageAnswers,
      startHandler: () => {
        throw new Error("no virt-handler here");
      },
    });
    this.machines.set(name, machine);
    return machine;
  }

  /** Runs a launcher pod as the kubelet would; the guest is not started yet. */
  launch(machine: Machine, vmiUid = VMI_UID): { launcher: Launcher; exitCode: () => number | undefined } {
    const sandbox = machine.runtime.start(launcherPod(`pod-${(this.#pods += 1)}`, vmiUid));
    if (!(sandbox.workload instanceof Launcher)) throw new Error("a launcher pod runs no launcher");
    return { launcher: sandbox.workload, exitCode: () => sandbox.exit?.code };
  }
}

function launcherPod(uid: string, vmiUid: string): Pod {
  return {
    metadata: {
      name: uid,
      namespace: "default",
      uid,
      labels: { "kubevirt.io": "virt-launcher" },
      ownerReferences: [
        { apiVersion: "kubevirt.io/v1", kind: "VirtualMachineInstance", name: "vm", uid: vmiUid },
      ],
    },
    spec: {
      restartPolicy: "Never",
      containers: [{ name: "compute" }],
      volumes: [{ name: "disk", persistentVolumeClaim: { claimName: "disk" } }],
    },
  };
}

export function tick(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

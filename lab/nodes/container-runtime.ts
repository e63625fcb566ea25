// What runs on one machine between power on and power off: pod sandboxes. Survives the kubelet; knows no API server.
import { labTime } from "../lab-time.ts";
import type { Lifeline } from "./lifeline.ts";
import { Launcher } from "./launcher.ts";
import { keyOf, type Pod, timestamp } from "./objects.ts";
import type { Workload } from "./workload.ts";

/** One pod as the container runtime knows it; stays after its containers exited, until the kubelet removes it. */
export interface Sandbox {
  readonly uid: string;
  readonly key: string;
  /** The pod as it was started: all a kubelet knows of a pod that the API server has forgotten. */
  readonly pod: Pod;
  readonly podIP: string;
  readonly startedAt: string;
  readonly workload: Workload;
  readonly restartCount: number;
  exit: { readonly code: number; readonly finishedAt: string } | undefined;
  /** When SIGKILL is due, on the machine's clock; undefined while nobody wants the pod stopped. */
  killAtMs: number | undefined;
}

/** Makes the containers of a pod run. `onExit` is called once, when they have all exited. */
export type StartWorkload = (pod: Pod, onExit: (exitCode: number) => void) => Workload;

export interface RuntimeOptions {
  readonly life: Lifeline;
  readonly startWorkload: StartWorkload;
  readonly podIP: (pod: Pod) => string;
}

/** The sandboxes of one boot of one machine. */
export class ContainerRuntime {
  readonly #options: RuntimeOptions;
  readonly #sandboxes = new Map<string, Sandbox>();
  /** Told of every exit; the kubelet, while there is one. */
  onExit: ((sandbox: Sandbox) => void) | undefined;

  constructor(options: RuntimeOptions) {
    this.#options = options;
  }

  get(uid: string): Sandbox | undefined {
    return this.#sandboxes.get(uid);
  }

  all(): readonly Sandbox[] {
    return [...this.#sandboxes.values()];
  }

  /** The launchers that have not exited. */
  launchers(): readonly Launcher[] {
    return this.all()
      .map(({ workload }) => workload)
      .filter((workload) => workload instanceof Launcher && workload.alive) as Launcher[];
  }

  /** The launcher of one VMI; there is at most one on a node. */
  launcherOf(vmiUid: string): Launcher | undefined {
    return this.launchers().find(({ place }) => place.execution.vmiUid === vmiUid);
  }

  start(pod: Pod, restartCount = 0): Sandbox {
    const uid = pod.metadata.uid ?? "";
    let exitedEarly: number | undefined;
    let sandbox: Sandbox | undefined = undefined;
    const exited = (code: number) => {
      if (!sandbox) exitedEarly = code;
      else this.#exited(sandbox, code);
    };
    sandbox = {
      uid,
      key: keyOf(pod),
      pod,
      podIP: this.#options.podIP(pod),
      startedAt: timestamp(),
      workload: this.#options.startWorkload(pod, exited),
      restartCount,
      exit: undefined,
      killAtMs: undefined,
    };
    this.#sandboxes.set(uid, sandbox);
    if (exitedEarly !== undefined) this.#exited(sandbox, exitedEarly);
    return sandbox;
  }

  /** SIGTERM now and SIGKILL after `graceMs`; a later call can only shorten the grace. */
  stop(sandbox: Sandbox, graceMs: number): void {
    const killAtMs = labTime.nowMs() + graceMs;
    if (sandbox.exit || (sandbox.killAtMs !== undefined && sandbox.killAtMs <= killAtMs)) return;
    const first = sandbox.killAtMs === undefined;
    sandbox.killAtMs = killAtMs;
    this.#options.life.after(graceMs, () => {
      if (!sandbox.exit) sandbox.workload.kill();
    });
    if (first) sandbox.workload.terminate(graceMs);
  }

  remove(uid: string): void {
    this.#sandboxes.delete(uid);
  }

  /** The machine lost power. */
  vanish(): void {
    for (const sandbox of this.#sandboxes.values()) if (!sandbox.exit) sandbox.workload.vanish();
    this.#sandboxes.clear();
    this.onExit = undefined;
  }

  #exited(sandbox: Sandbox, code: number): void {
    sandbox.exit = { code, finishedAt: timestamp() };
    this.onExit?.(sandbox);
  }
}

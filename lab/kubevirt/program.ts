// Keeps one of KubeVirt's programs running, as a kubelet would: started again when it ends. Knows nothing of KubeVirt.
import { Component } from "../control-plane/component.ts";
import { type OrphanGuard, startOrphanGuard } from "../control-plane/orphan-guard.ts";

/** A program that loses its leader lease exits; a kubelet starts it again after about this long. */
const RESTART_DELAY_MS = 1_000;
/** virt-api pauses 5 s after SIGTERM for the sake of load balancers, which nobody here needs. */
const TERM_GRACE_MS = 1_500;

const READY_AT_ONCE_MS = 1_000;

export interface ProgramOptions {
  readonly name: string;
  readonly binary: string;
  readonly args: readonly string[];
  readonly logPath: string;
  /** Told why it ended and where its log is. */
  readonly onUnexpectedEnd: (message: string) => void;
}

/** A program under supervision. */
export class Program {
  #options: ProgramOptions;
  #guard: OrphanGuard;
  #component: Component;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: ProgramOptions) {
    this.#options = options;
    this.#guard = startOrphanGuard();
    this.#component = this.#start();
  }

  /** Ends the program for good. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#component.stop(TERM_GRACE_MS);
    await this.#guard.release();
  }

  #start(): Component {
    const { name, binary, args, logPath } = this.#options;
    const component = new Component({
      name,
      binary,
      args,
      logPath,
      guard: this.#guard,
      onUnexpectedEnd: (message) => {
        if (this.#stopped) return;
        this.#options.onUnexpectedEnd(message);
        this.#timer = setTimeout(() => {
          this.#component = this.#start();
        }, RESTART_DELAY_MS);
        this.#timer.unref();
      },
    });
    // A component tells of its end only once it is ready; a supervisor wants to know of every end.
    void component.waitUntilReady(async () => true, READY_AT_ONCE_MS).catch(this.#options.onUnexpectedEnd);
    return component;
  }
}

// Everything outside the plugin's process that a command may touch, so that a test can stand in for all of it.
import type { ApiTransport } from "../kube/transport.ts";
import type { Clock } from "../model/clock.ts";

/** Which cluster, as the command line says. Undefined members are left to the kubeconfig. */
export interface ClusterChoice {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}

/** A way to one API server. */
export interface Connection {
  readonly transport: ApiTransport;
  /** For people: the server's address, or the file that stands in for it. */
  readonly server: string;
  /** Namespace of the kubeconfig's context, or `default`. */
  readonly namespace: string;
}

export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly message: string };

export interface CliWorld {
  /** Arguments after the script's name. */
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Whether the output goes to a terminal, and how wide that is. */
  readonly terminal: { readonly isTerminal: boolean; readonly columns: number };
  readonly clock: Clock;
  readonly write: (text: string) => void;
  readonly complain: (text: string) => void;
  /** One line from the person; undefined where nobody is there to ask. */
  readonly ask: (question: string) => Promise<string | undefined>;
  readonly pause: (ms: number) => Promise<void>;
  readonly connect: (choice: ClusterChoice) => Outcome<Connection>;
  readonly readFile: (path: string) => Outcome<string>;
  readonly writeFile: (path: string, text: string) => Outcome<undefined>;
  /** Aborts when the person has had enough (Ctrl-C). */
  readonly interrupted: AbortSignal;
}

// The way of one process on a node to the API server: it can be cut, stalls with its machine, and is silent once the machine is off.
import {
  type ApiFailure,
  type ApiOutcome,
  type ApiRequest,
  type ApiStream,
  type ApiTransport,
  DEFAULT_DEADLINE_MS,
  StreamBroken,
} from "../../src/kube/transport.ts";
import { labTime } from "../lab-time.ts";
import type { Lifeline } from "./lifeline.ts";

/** What a client on a node, or anywhere in the lab, needs to speak to the API server. */
export interface ApiDoor {
  request<T>(request: ApiRequest): Promise<ApiOutcome<T>>;
  stream(request: ApiRequest): Promise<ApiOutcome<ApiStream>>;
}

/** The cable between a node and the API server. Outlives reboots; cutting it breaks what is under way. */
export class Cable {
  readonly #transport: ApiTransport;
  readonly #cutListeners = new Set<() => void>();
  #isCut = false;
  #healed: Promise<void> = Promise.resolve();
  #heal: () => void = () => undefined;

  constructor(transport: ApiTransport) {
    this.#transport = transport;
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  /** Settles once packets pass again. */
  get healed(): Promise<void> {
    return this.#healed;
  }

  get transport(): ApiTransport {
    return this.#transport;
  }

  cut(): void {
    if (this.#isCut) return;
    this.#isCut = true;
    this.#healed = new Promise((resolve) => {
      this.#heal = resolve;
    });
    for (const listener of this.#cutListeners) listener();
    this.#transport.redial();
  }

  heal(): void {
    this.#isCut = false;
    this.#heal();
  }

  /** Calls `listener` at the instant of a cut, before anything else is sent. */
  onCut(listener: () => void): () => void {
    this.#cutListeners.add(listener);
    return () => this.#cutListeners.delete(listener);
  }

  close(): Promise<void> {
    return this.#transport.close();
  }
}

const LOST: ApiFailure = {
  ok: false,
  kind: "unreachable",
  status: undefined,
  message: "the node's network is cut",
};

/**
 * One process's use of a cable. Guarantees: after the process ended nothing more is sent, what was being sent is
 * aborted, and no answer arrives (the promises stay pending). While frozen nothing is sent and answers wait. A cut is a
 * black hole, as a partition is: calls fail by their deadline, or when the network heals.
 */
export class NodeLink implements ApiDoor {
  readonly #cable: Cable;
  readonly #life: Lifeline;

  constructor(cable: Cable, life: Lifeline) {
    this.#cable = cable;
    this.#life = life;
  }

  async request<T>(request: ApiRequest): Promise<ApiOutcome<T>> {
    return this.#deliver(request, (signal) => this.#cable.transport.request<T>({ ...request, signal }));
  }

  async stream(request: ApiRequest): Promise<ApiOutcome<ApiStream>> {
    const opened = await this.#deliver(request, (signal) =>
      this.#cable.transport.stream({ ...request, signal }),
    );
    if (!opened.ok) return opened;
    return { ok: true, status: opened.status, value: this.#guard(opened.value) };
  }

  async #deliver<O>(
    request: ApiRequest,
    send: (signal: AbortSignal) => Promise<ApiOutcome<O>>,
  ): Promise<ApiOutcome<O>> {
    await this.#life.thawed();
    const startedMs = labTime.nowMs();
    if (this.#cable.isCut) return this.#blackHole(request, startedMs);
    const call = new AbortController();
    let cut = false;
    const offCut = this.#cable.onCut(() => {
      cut = true;
      call.abort();
    });
    const offEnd = this.#life.atEnd(() => call.abort());
    const outcome = await send(call.signal);
    offCut();
    offEnd();
    await this.#life.thawed();
    return cut ? this.#blackHole(request, startedMs) : outcome;
  }

  async #blackHole(request: ApiRequest, startedMs: number): Promise<ApiFailure> {
    const leftMs = (request.deadlineMs ?? DEFAULT_DEADLINE_MS) - (labTime.nowMs() - startedMs);
    await Promise.race([this.#cable.healed, this.#life.sleep(Math.max(0, leftMs))]);
    await this.#life.thawed();
    return LOST;
  }

  #guard(stream: ApiStream): ApiStream {
    const life = this.#life;
    const cable = this.#cable;
    let cut = false;
    const offs: (() => void)[] = [];
    const close = () => {
      for (const off of offs) off();
      stream.close();
    };
    offs.push(
      cable.onCut(() => {
        cut = true;
        stream.close();
      }),
      life.atEnd(() => stream.close()),
    );
    async function* lines(): AsyncGenerator {
      try {
        for await (const line of stream.lines) {
          await life.thawed();
          if (cut) break;
          yield line;
        }
      } finally {
        close();
      }
      await life.thawed();
      if (cut) throw new StreamBroken(LOST.message);
    }
    return { lines: lines(), close };
  }
}

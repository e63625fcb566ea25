// A transfer as a probe: receives a file of the VM's, takes it up again where it broke off, and asks itself ten times a
// second whether anything came.
import type { Clock } from "../../model/clock.ts";
import { ProbeTrace } from "../../model/probe-trace.ts";
import {
  ANSWER_WITHIN_MS,
  periodMsOf,
  type ProbeFacts,
  type RunningServiceProbe,
  type ServiceProbe,
} from "../../model/service-probe.ts";
import { Pacer } from "./pacer.ts";
import type { ProbeNetwork } from "./probe-network.ts";

type TransferProbe = Extract<ServiceProbe, { kind: "Transfer" }>;

interface TransferOptions {
  readonly clock: Clock;
  readonly network: ProbeNetwork;
}

/** Starts it; it ends when all bytes are in, when the file turns out to be shorter, or when it is stopped. */
export function startTransfer(
  options: TransferOptions,
  probe: TransferProbe,
  address: () => string | undefined,
): RunningServiceProbe {
  return new Transfer(options, probe, address);
}

/** At most one connection at a time, and no more than one begun per period. */
class Transfer implements RunningServiceProbe {
  readonly finished: Promise<void>;
  readonly #clock: Clock;
  readonly #network: ProbeNetwork;
  readonly #probe: TransferProbe;
  readonly #address: () => string | undefined;
  readonly #startedAtMs: number;
  readonly #trace: ProbeTrace;
  readonly #pacer: Pacer;
  #finish: () => void = () => {};
  #connection: AbortController | undefined;
  #receivedBytes = 0;
  /** Connections that brought something. */
  #fruitful = 0;
  #lastByteAtMs = 0;
  /** The period being looked at, and when its first byte came. */
  #period: { readonly startMs: number; firstByteAtMs: number | undefined } | undefined;
  #endedAtMs: number | undefined;

  constructor(options: TransferOptions, probe: TransferProbe, address: () => string | undefined) {
    this.#clock = options.clock;
    this.#network = options.network;
    this.#probe = probe;
    this.#address = address;
    this.#startedAtMs = options.clock.now().monotonicMs;
    this.#trace = new ProbeTrace(probe, this.#startedAtMs);
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#pacer = new Pacer({
      clock: options.clock,
      periodMs: periodMsOf(probe),
      onDue: () => this.#look(),
      onSkipped: (count) => {
        this.#trace.skip(count);
        // Whether something came while we were held up is not known.
        this.#period = undefined;
      },
      onHeldUp: (heldUpMs) => {
        this.#lastByteAtMs += heldUpMs;
      },
    });
    this.#pacer.start();
  }

  facts(): ProbeFacts {
    const { bytes } = this.#probe;
    const complete = this.#receivedBytes >= bytes;
    return {
      ...this.#trace.facts(this.#endedAtMs ?? this.#period?.startMs ?? this.#sinceMs()),
      transfer: {
        bytes,
        receivedBytes: this.#receivedBytes,
        durationMs: complete ? this.#lastByteAtMs : undefined,
        reconnections: Math.max(0, this.#fruitful - 1),
      },
    };
  }

  stop(): Promise<ProbeFacts> {
    this.#end();
    return Promise.resolve(this.facts());
  }

  #sinceMs(): number {
    return this.#clock.now().monotonicMs - this.#startedAtMs;
  }

  #end(): void {
    if (this.#endedAtMs !== undefined) return;
    this.#endedAtMs = this.#sinceMs();
    this.#pacer.stop();
    this.#connection?.abort();
    // The last period was cut short: silence in it means nothing.
    if (this.#period?.firstByteAtMs !== undefined) this.#write(this.#period);
    this.#period = undefined;
    this.#finish();
  }

  #look(): void {
    const nowMs = this.#sinceMs();
    if (this.#period !== undefined) this.#write(this.#period);
    this.#period = { startMs: nowMs, firstByteAtMs: undefined };
    if (this.#connection === undefined) {
      const address = this.#address();
      if (address !== undefined) void this.#receive(address);
    } else if (nowMs - this.#lastByteAtMs > ANSWER_WITHIN_MS) this.#connection.abort();
  }

  #write({ startMs, firstByteAtMs }: { startMs: number; firstByteAtMs: number | undefined }): void {
    this.#trace.add({
      sentAtMs: startMs,
      latencyMs: firstByteAtMs === undefined ? undefined : firstByteAtMs - startMs,
    });
  }

  async #receive(address: string): Promise<void> {
    const connection = new AbortController();
    this.#connection = connection;
    // A connection that is slow to come about has as long as one that falls silent.
    this.#lastByteAtMs = this.#sinceMs();
    let fruitful = false;
    const { port, path } = this.#probe;
    const end = await this.#network.download({
      address,
      port,
      path,
      fromByte: this.#receivedBytes,
      signal: connection.signal,
      onRestart: () => {
        this.#receivedBytes = 0;
      },
      onBytes: (count) => {
        if (this.#endedAtMs !== undefined || connection.signal.aborted) return;
        if (!fruitful) this.#fruitful += 1;
        fruitful = true;
        this.#take(count);
      },
    });
    if (this.#connection === connection) this.#connection = undefined;
    // Complete and yet too short: the file is smaller than was asked for, and asking again would not make it longer.
    if (end === "complete") this.#end();
  }

  #take(count: number): void {
    const nowMs = this.#sinceMs();
    this.#receivedBytes = Math.min(this.#probe.bytes, this.#receivedBytes + count);
    this.#lastByteAtMs = nowMs;
    if (this.#period !== undefined) this.#period.firstByteAtMs ??= nowMs;
    if (this.#receivedBytes >= this.#probe.bytes) this.#end();
  }
}

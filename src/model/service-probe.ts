// What it means to ask a VM's service whether it is there: the kinds of probe, what a trace of answers comes to, and the
// port by which a drill starts one. Knows no socket; `observe/service-probes` opens those.

/** UDP rates of the experiment that drills repeat: a tenth, a hundredth and a thousandth of a second of resolution. */
export const UDP_RATES = [10, 100, 1000] as const;
export type PacketsPerSecond = (typeof UDP_RATES)[number];

/** How often a TCP connection is opened, a page asked for, or a transfer looked at. A service is not to be flooded. */
export const CONNECTIONS_PER_SECOND = 10;

/** An answer that comes later than this counts as lost, for every kind. */
export const ANSWER_WITHIN_MS = 1_000;

/**
 * One way to ask a VM's service whether it is there. The address is not part of it: it changes while a drill runs.
 * `Udp`: numbered packets, which the guest is to send back unchanged. `Tcp`: a connection opened and closed. `Http`: a GET,
 * answered by any status below 500. `Transfer`: `bytes` received over HTTP, resumed where a connection broke; its questions
 * are the tenths of a second, answered where a byte came.
 */
export type ServiceProbe =
  | { readonly kind: "Udp"; readonly port: number; readonly packetsPerSecond: PacketsPerSecond }
  | { readonly kind: "Tcp"; readonly port: number }
  | { readonly kind: "Http"; readonly port: number; readonly path: string }
  | { readonly kind: "Transfer"; readonly port: number; readonly path: string; readonly bytes: number };

/** How long from one question to the next. */
export function periodMsOf(probe: ServiceProbe): number {
  switch (probe.kind) {
    case "Udp":
      return 1_000 / probe.packetsPerSecond;
    case "Tcp":
    case "Http":
    case "Transfer":
      return 1_000 / CONNECTIONS_PER_SECOND;
  }
}

/**
 * Questions in a row that were not answered. It lasts from the sending of the first lost one to the sending of the first
 * that was answered again: on average as long as the true outage, and never off by more than one period. Time in which we
 * did not ask is not part of its end. Times count from the beginning of the trace.
 */
export interface ProbeOutage {
  readonly startMs: number;
  readonly endMs: number;
  /** False where the trace ended first: it lasted at least until `endMs`. */
  readonly ended: boolean;
  readonly lost: number;
}

/** A short while of a trace; the whole trace is made of them, without a gap. */
export interface TraceSlice {
  readonly startMs: number;
  readonly sent: number;
  readonly lost: number;
  /** Of those answered; undefined where none was. */
  readonly meanLatencyMs: number | undefined;
}

/** What a transfer came to. */
export interface TransferFacts {
  readonly bytes: number;
  readonly receivedBytes: number;
  /** From the first request to the last byte; undefined until that has come. */
  readonly durationMs: number | undefined;
  /** How often it had to be taken up again. */
  readonly reconnections: number;
}

/**
 * What is left of a trace of any length: of bounded size, fit for a status. All times count in milliseconds from
 * `startedAtMs`.
 */
export interface ProbeFacts {
  readonly probe: ServiceProbe;
  /** Monotonic time of the beginning, by the clock the probe was given. Means nothing to another process. */
  readonly startedAtMs: number;
  /** How long it has been asked. */
  readonly observedMs: number;
  /** Questions settled: `answered + lost`. */
  readonly sent: number;
  readonly answered: number;
  readonly lost: number;
  /** Questions that we did not send when they were due, because we were late ourselves: neither answered nor lost. */
  readonly skipped: number;
  readonly meanLatencyMs: number | undefined;
  readonly maxLatencyMs: number | undefined;
  /** In order of time; of more than `MAX_OUTAGES_KEPT` the longest. */
  readonly outages: readonly ProbeOutage[];
  /** Of all outages, kept or not. */
  readonly outageCount: number;
  readonly outageMs: number;
  readonly longestOutageMs: number;
  /** Length of each slice. It doubles whenever there would be more than `MAX_SLICES`. */
  readonly sliceMs: number;
  readonly slices: readonly TraceSlice[];
  /** Of a transfer only. */
  readonly transfer?: TransferFacts;
}

/** How much longer a transfer took than the undisturbed one; undefined unless both came to their end. */
export function slowDownMs(disturbed: ProbeFacts, undisturbed: ProbeFacts): number | undefined {
  const took = disturbed.transfer?.durationMs;
  const usual = undisturbed.transfer?.durationMs;
  if (took === undefined || usual === undefined) return undefined;
  return disturbed.transfer?.bytes === undisturbed.transfer?.bytes ? took - usual : undefined;
}

/** What a probe needs to run. */
export interface ServiceProbeRequest {
  readonly probe: ServiceProbe;
  /**
   * The VM's address now, from `VirtualMachineInstance.status.interfaces[].ipAddress`; undefined where it has none. Asked
   * before every question, so it must be cheap: read from a watch, not from the API server. A question that cannot be
   * sent for want of an address is lost.
   */
  readonly address: () => string | undefined;
}

/** A probe that runs until it is stopped. */
export interface RunningServiceProbe {
  /** What it has come to so far; questions still open are not counted. */
  facts(): ProbeFacts;
  /** A transfer ends by itself; others only when stopped. */
  readonly finished: Promise<void>;
  /** Asks nothing more, waits `ANSWER_WITHIN_MS` at most for open questions, closes its sockets, and says what it came to. Never fails. */
  stop(): Promise<ProbeFacts>;
}

/** Starts a probe at once. Never fails: what cannot be asked is lost. */
export type StartServiceProbe = (request: ServiceProbeRequest) => RunningServiceProbe;

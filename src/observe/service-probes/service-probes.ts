// Asks a VM's service at a fixed rate, wherever the VM is by then, and folds the answers into facts. Knows neither what
// disturbs the VM nor what follows from an outage.
import type { Clock, Random } from "../../model/clock.ts";
import { ProbeTrace } from "../../model/probe-trace.ts";
import {
  ANSWER_WITHIN_MS,
  periodMsOf,
  type ProbeFacts,
  type RunningServiceProbe,
  type ServiceProbe,
  type StartServiceProbe,
} from "../../model/service-probe.ts";
import { OpenQuestions } from "./open-questions.ts";
import { Pacer } from "./pacer.ts";
import { mayBeGuest } from "./probe-address.ts";
import type { ProbeNetwork, Target } from "./probe-network.ts";
import { startTransfer } from "./transfer.ts";
import { numberedPacket, numberOf, PACKET_KEY_BYTES } from "./udp-packet.ts";

export interface ServiceProbeOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly network: ProbeNetwork;
}

/** Questions of one probe open at once: what the highest rate asks within the time for an answer, and a burst. */
const MAX_OPEN_QUESTIONS = 1_100;

/** Connections of one probe open at once. */
const MAX_OPEN_CONNECTIONS = 16;

/** Probes that ask over these sockets. An address that `mayBeGuest` refuses is not asked: its questions are lost. */
export function serviceProbes(options: ServiceProbeOptions): StartServiceProbe {
  return ({ probe, address }) => {
    const guest = (): string | undefined => {
      const now = address();
      return now !== undefined && mayBeGuest(now) ? now : undefined;
    };
    if (probe.kind === "Transfer") return startTransfer(options, probe, guest);
    return new AskingProbe(options, { probe, address: guest });
  };
}

type AskedProbe = Exclude<ServiceProbe, { kind: "Transfer" }>;

/** How one kind asks. `settled` may be called during `ask`, later, or never. */
interface Asker {
  ask(number: number, target: Target): void;
  close(): void;
}

/** A probe of numbered questions, each answered or lost by itself. */
class AskingProbe implements RunningServiceProbe {
  readonly finished: Promise<void>;
  readonly #clock: Clock;
  readonly #probe: AskedProbe;
  readonly #address: () => string | undefined;
  readonly #startedAtMs: number;
  readonly #trace: ProbeTrace;
  readonly #questions: OpenQuestions;
  readonly #asker: Asker;
  readonly #pacer: Pacer;
  readonly #maxOpen: number;
  #finish: () => void = () => {};
  #next = 0;
  #stopped: Promise<ProbeFacts> | undefined;

  constructor(
    options: ServiceProbeOptions,
    { probe, address }: { readonly probe: AskedProbe; readonly address: () => string | undefined },
  ) {
    this.#clock = options.clock;
    this.#probe = probe;
    this.#address = address;
    this.#startedAtMs = options.clock.now().monotonicMs;
    this.#trace = new ProbeTrace(probe, this.#startedAtMs);
    this.#questions = new OpenQuestions(this.#trace);
    this.#maxOpen = probe.kind === "Udp" ? MAX_OPEN_QUESTIONS : MAX_OPEN_CONNECTIONS;
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#asker = probe.kind === "Udp" ? this.#udpAsker(options) : this.#connectionAsker(options, probe);
    this.#pacer = new Pacer({
      clock: options.clock,
      periodMs: periodMsOf(probe),
      onDue: () => this.#ask(),
      onSkipped: (count) => this.#trace.skip(count),
      onHeldUp: (heldUpMs) => this.#questions.heldUp(heldUpMs),
    });
    this.#pacer.start();
  }

  facts(): ProbeFacts {
    const nowMs = this.#sinceMs();
    this.#questions.settle(nowMs);
    return this.#trace.facts(this.#questions.oldestMs ?? nowMs);
  }

  stop(): Promise<ProbeFacts> {
    this.#stopped ??= this.#end();
    return this.#stopped;
  }

  async #end(): Promise<ProbeFacts> {
    this.#pacer.stop();
    const askedUntilMs = this.#sinceMs();
    await this.#openQuestionsEnd();
    this.#asker.close();
    this.#finish();
    return this.#trace.facts(askedUntilMs);
  }

  #openQuestionsEnd(): Promise<void> {
    const deadlineMs = this.#sinceMs() + ANSWER_WITHIN_MS;
    return new Promise((resolve) => {
      const look = (): void => {
        const nowMs = this.#sinceMs();
        // Past the deadline whatever is still open is lost.
        this.#questions.settle(nowMs >= deadlineMs ? Number.POSITIVE_INFINITY : nowMs);
        if (this.#questions.count === 0) resolve();
        else this.#clock.schedule(STOP_LOOK_MS, look);
      };
      look();
    });
  }

  #sinceMs(): number {
    return this.#clock.now().monotonicMs - this.#startedAtMs;
  }

  #ask(): void {
    const nowMs = this.#sinceMs();
    this.#questions.settle(nowMs);
    if (this.#questions.count >= this.#maxOpen) {
      this.#trace.skip(1);
      return;
    }
    const number = this.#next;
    this.#next += 1;
    this.#questions.asked(number, nowMs);
    const address = this.#address();
    if (address === undefined) this.#questions.failed(number);
    else this.#asker.ask(number, { address, port: this.#probe.port });
  }

  #udpAsker({ network, random }: ServiceProbeOptions): Asker {
    // Tells our packets from anybody else's, an earlier run's late ones among them.
    const key = Uint8Array.from({ length: PACKET_KEY_BYTES }, () => Math.floor(random() * 256));
    const door = network.openUdp((message) => {
      const number = numberOf(message, key);
      if (number !== undefined) this.#questions.answered(number, this.#sinceMs());
    });
    return {
      ask: (number, target) => door.send(numberedPacket(number, key), target),
      close: () => door.close(),
    };
  }

  #connectionAsker(
    { network, clock }: ServiceProbeOptions,
    probe: Exclude<AskedProbe, { kind: "Udp" }>,
  ): Asker {
    const all = new AbortController();
    const connectionTo = async (target: Target, signal: AbortSignal): Promise<boolean> => {
      if (probe.kind === "Tcp") return network.connect({ ...target, signal });
      const status = await network.get({ ...target, path: probe.path, signal });
      return status !== undefined && status < 500;
    };
    const ask = async (number: number, target: Target): Promise<void> => {
      const one = new AbortController();
      const giveUp = (): void => one.abort();
      const cancel = clock.schedule(ANSWER_WITHIN_MS, giveUp);
      all.signal.addEventListener("abort", giveUp, { once: true });
      const answered = await connectionTo(target, one.signal);
      cancel();
      all.signal.removeEventListener("abort", giveUp);
      if (answered) this.#questions.answered(number, this.#sinceMs());
      else this.#questions.failed(number);
    };
    return { ask: (number, target) => void ask(number, target), close: () => all.abort() };
  }
}

/** How often it is looked whether the last answers are in, once nothing more is asked. */
const STOP_LOOK_MS = 10;

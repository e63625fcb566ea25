// What one in-process replica lives by: its clock, its way to the API server, its fence devices. All of it can stop dead at
// one instant, as with SIGKILL, or lose the API server alone; and every request it made is kept.
import { createDeviceOpener, type OpenDevice } from "../../src/act/open-device.ts";
import type { DeviceCall, FenceDevice, ReadCall } from "../../src/act/fence/fence-device.ts";
import {
  type ApiFailure,
  type ApiOutcome,
  type ApiRequest,
  type ApiStream,
  type ApiTransport,
  DEFAULT_DEADLINE_MS,
  StreamBroken,
} from "../../src/kube/transport.ts";
import type { Clock } from "../../src/model/clock.ts";
import { oracleNowMs } from "../../lab/oracle/oracle.ts";

/** One request of a replica, and what came of it. */
export interface SentRequest {
  readonly method: string;
  readonly path: string;
  readonly query: ApiRequest["query"];
  readonly body: unknown;
  /** Number among its writes, the election's not counted; 0 for everything else. */
  readonly write: number;
  /** On the oracle's clock. */
  readonly sentAtMs: number;
  /** HTTP status answered; undefined while, or because, there is no answer. */
  status: number | undefined;
}

/**
 * What befalls a replica at a write. `dieBefore`: it stops dead and the write is never sent. `dieAfter`: the write takes
 * effect and it stops dead before it hears so. `cutBefore`: the network to the API server is cut, with the write in it.
 */
export type WriteFate = "dieBefore" | "dieAfter" | "cutBefore";

/** A request that got stuck in a cut network, and how the API server took it in the end. */
export interface LateWrite {
  readonly request: ApiRequest;
  readonly outcome: ApiOutcome<unknown>;
}

const LOST: ApiFailure = { ok: false, kind: "timeout", status: undefined, message: "the network is cut" };

/** How often a late write is delivered until the API server has had a say. */
const MAX_DELIVERIES = 20;

export class ReplicaLife {
  readonly requests: SentRequest[] = [];
  /** Decides at each write (the election's not counted) what befalls the replica. */
  fateOf: (request: SentRequest) => WriteFate | undefined = () => undefined;
  /** Called when a device was asked to cut or switch on power, while that request is under way. */
  onDeviceRequest: (kind: "off" | "on") => void = () => undefined;
  /** How far the wall clock is off; the monotonic clock never jumps. */
  wallOffsetMs = 0;
  readonly #breakers = new Set<() => void>();
  readonly #held: ApiRequest[] = [];
  #inner: ApiTransport | undefined;
  #writes = 0;
  #dead = false;
  #cut: PromiseWithResolvers<void> | undefined;

  get dead(): boolean {
    return this.#dead;
  }

  /** Writes sent so far, the election's not counted. */
  get writes(): readonly SentRequest[] {
    return this.requests.filter(({ write }) => write > 0);
  }

  /** Stops dead: nothing more is sent, heard or awaited, and the kernel closes its connections to the API server. */
  die(): void {
    this.#dead = true;
    this.#breakAll();
    void this.#inner?.close();
  }

  /** Cuts it off from the API server: nothing passes any more; writes that it still makes are held in the network. */
  cut(): void {
    this.#cut ??= Promise.withResolvers();
    this.#breakAll();
    this.#inner?.redial();
  }

  /** The network gives up what it held: each write reaches the API server now, long after it was sent. */
  async deliverLate(): Promise<readonly LateWrite[]> {
    const inner = this.#inner;
    if (inner === undefined) return [];
    const late: LateWrite[] = [];
    for (const { signal: _, ...request } of this.#held.splice(0)) {
      let outcome = await inner.request(request);
      // Its own election may redial meanwhile, which says nothing of what the API server makes of the write.
      for (let tries = 1; !outcome.ok && outcome.kind === "unreachable" && tries < MAX_DELIVERIES; tries++)
        outcome = await inner.request(request);
      late.push({ request, outcome });
    }
    return late;
  }

  heal(): void {
    this.#cut?.resolve();
    this.#cut = undefined;
  }

  clock(inner: Clock): Clock {
    return {
      now: () => {
        const { monotonicMs, wallMs } = inner.now();
        return { monotonicMs, wallMs: wallMs + this.wallOffsetMs };
      },
      schedule: (delayMs, wake) => inner.schedule(delayMs, () => (this.#dead ? undefined : wake())),
    };
  }

  readonly #openReal = createDeviceOpener();
  readonly openDevice: OpenDevice = (access, clock) => this.#mortalDevice(this.#openReal(access, clock));

  transport(inner: ApiTransport): ApiTransport {
    this.#inner = inner;
    return {
      request: (request) => this.#request(inner, request),
      stream: (request) => this.#stream(inner, request),
      redial: () => (this.#dead ? undefined : inner.redial()),
      close: () => inner.close(),
    };
  }

  async #request<T>(inner: ApiTransport, request: ApiRequest): Promise<ApiOutcome<T>> {
    if (this.#dead) return never();
    const sent = this.#note(request);
    const fate = sent.write > 0 ? this.fateOf(sent) : undefined;
    if (fate === "dieBefore") this.die();
    if (this.#dead) return never();
    if (fate === "cutBefore") this.cut();
    if (this.#cut) return this.#swallow(request);
    const outcome = await this.#unlessCut(inner.request<T>(request));
    if (outcome !== "cut") sent.status = outcome.status;
    if (fate === "dieAfter") this.die();
    if (this.#dead) return never();
    return outcome === "cut" ? this.#blackHole(request) : outcome;
  }

  async #stream(inner: ApiTransport, request: ApiRequest): Promise<ApiOutcome<ApiStream>> {
    if (this.#dead) return never();
    const sent = this.#note(request);
    if (this.#cut) return this.#blackHole(request);
    const opened = await inner.stream(request);
    if (this.#dead) return never();
    sent.status = opened.status;
    return opened.ok ? { ...opened, value: this.#mortalStream(opened.value) } : opened;
  }

  #note(request: ApiRequest): SentRequest {
    const { method, path, query, body } = request;
    const isWrite = method !== "GET" && !path.includes("/apis/coordination.k8s.io/");
    if (isWrite) this.#writes += 1;
    const sent: SentRequest = {
      method,
      path,
      query,
      body,
      write: isWrite ? this.#writes : 0,
      sentAtMs: oracleNowMs(),
      status: undefined,
    };
    this.requests.push(sent);
    return sent;
  }

  #swallow(request: ApiRequest): Promise<ApiFailure> {
    if (request.method !== "GET") this.#held.push(request);
    return this.#blackHole(request);
  }

  async #blackHole(request: ApiRequest): Promise<ApiFailure> {
    const patience = Promise.withResolvers<void>();
    const timer = setTimeout(patience.resolve, request.deadlineMs ?? DEFAULT_DEADLINE_MS);
    request.signal?.addEventListener("abort", () => patience.resolve(), { once: true });
    await Promise.race([patience.promise, this.#cut?.promise]);
    clearTimeout(timer);
    return this.#dead ? never() : LOST;
  }

  async #unlessCut<R>(answer: Promise<R>): Promise<R | "cut"> {
    const { promise: cut, resolve } = Promise.withResolvers<"cut">();
    const breaker = () => resolve("cut");
    this.#breakers.add(breaker);
    const first = await Promise.race([answer, cut]);
    this.#breakers.delete(breaker);
    return first;
  }

  #breakAll(): void {
    for (const breaker of this.#breakers) breaker();
    this.#breakers.clear();
  }

  #mortalStream(stream: ApiStream): ApiStream {
    const isDead = () => this.#dead;
    let broken = false;
    const breaker = () => {
      broken = true;
      stream.close();
    };
    this.#breakers.add(breaker);
    const end = () => this.#breakers.delete(breaker);
    async function* lines(): AsyncGenerator {
      try {
        for await (const line of stream.lines) {
          if (isDead()) await never();
          if (broken) break;
          yield line;
        }
      } finally {
        end();
      }
      if (isDead()) await never();
      if (broken) throw new StreamBroken("the network is cut");
    }
    return { lines: lines(), close: () => stream.close() };
  }

  #mortalDevice(device: FenceDevice): FenceDevice {
    const mortal = async <R>(ask: () => Promise<R>): Promise<R> => {
      if (this.#dead) return never();
      const answer = await ask();
      return this.#dead ? never() : answer;
    };
    const request = (
      kind: "off" | "on",
      ask: () => Promise<Awaited<ReturnType<FenceDevice["requestOff"]>>>,
    ) =>
      mortal(() => {
        const asked = ask();
        this.onDeviceRequest(kind);
        return asked;
      });
    return {
      label: device.label,
      readPower: (call: ReadCall) => mortal(() => device.readPower(call)),
      requestOff: (call: DeviceCall) => request("off", () => device.requestOff(call)),
      requestOn: (call: DeviceCall) => request("on", () => device.requestOn(call)),
      close: () => mortal(() => device.close()),
    };
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

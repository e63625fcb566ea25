// A BMC speaking Redfish over HTTPS whose power switch really stops and starts a node. Its faults are switched at run time.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { BmcCredentials } from "./bmc-credentials.ts";
import { BmcExchange, type BmcRequest, type OpenEntry } from "./bmc-exchange.ts";
import { type BmcFaults, type FaultSwitches, NO_FAULTS } from "./bmc-faults.ts";
import { BmcListener } from "./bmc-listener.ts";
import {
  collection,
  computerSystem,
  type MachineDescription,
  RESET_TYPES,
  resetActionInfo,
  ROOT,
  serviceRoot,
  session,
  SESSION_SERVICE,
  SESSIONS,
  sessionService,
  SYSTEMS,
} from "./bmc-resources.ts";
import type { PowerSwitch } from "./power-switch.ts";

/** Requests remembered; older ones are forgotten. */
const LOG_MAX = 10_000;

export interface BmcOptions {
  readonly power: PowerSwitch;
  readonly node: string;
  readonly username: string;
  readonly password: string;
  /** Serving certificate; its hosts must cover `host`. */
  readonly certificate: { readonly certPem: string; readonly keyPem: string };
  /** Address to listen on, `127.0.0.1` unless said. */
  readonly host?: string;
  /** Reset types offered; the usual ones unless said. */
  readonly resetTypes?: readonly string[];
  /** Where they are told; in the action itself unless said. */
  readonly resetTypesIn?: "Action" | "ActionInfo";
  /** Other systems that the collection lists, as an enclosure does; they cannot be read. */
  readonly otherSystems?: readonly string[];
}

export interface Bmc {
  /** `https://host:port`. */
  readonly address: string;
  readonly systemPath: string;
  readonly faults: FaultSwitches;
  readonly requests: readonly BmcRequest[];
  /** Sessions that are open now. */
  sessionCount(): number;
  /** Makes every session unknown, as a time-out or a restart of the BMC does. */
  expireSessions(): void;
  stop(): Promise<void>;
}

/** Starts a BMC on a free port. It lives on while its node is off, until `stop`. */
export async function startBmc(options: BmcOptions): Promise<Bmc> {
  const bmc = new RedfishBmc(options);
  await bmc.start();
  return bmc;
}

class RedfishBmc implements Bmc {
  readonly systemPath = `${SYSTEMS}/1`;
  readonly requests: OpenEntry[] = [];
  readonly faults: FaultSwitches;
  #options: BmcOptions;
  #machine: MachineDescription;
  #credentials: BmcCredentials;
  #faults: { -readonly [K in keyof BmcFaults]: BmcFaults[K] } = { ...NO_FAULTS };
  #listener: BmcListener | undefined;
  #timers = new Set<NodeJS.Timeout>();
  #stopped = false;
  #connections = new WeakMap<Socket, number>();
  #connectionCount = 0;
  #lastResetTime = new Date().toISOString();

  constructor(options: BmcOptions) {
    this.#options = options;
    this.#credentials = new BmcCredentials(options.username, options.password);
    this.#machine = {
      node: options.node,
      systemPath: this.systemPath,
      resetTypes: options.resetTypes ?? RESET_TYPES,
      resetTypesIn: options.resetTypesIn ?? "Action",
    };
    this.faults = {
      current: () => ({ ...this.#faults }),
      set: (change) => this.#change(change),
      clear: () => this.#change(NO_FAULTS),
    };
  }

  async start(): Promise<void> {
    this.#listener = await BmcListener.open({
      host: this.#options.host ?? "127.0.0.1",
      certificate: this.#options.certificate,
      isMute: () => this.#isMute(),
      onRequest: (request, response) => void this.#serve(request, response),
    });
  }

  get address(): string {
    return `https://${this.#options.host ?? "127.0.0.1"}:${this.#listener?.port ?? 0}`;
  }

  sessionCount(): number {
    return this.#credentials.sessionPaths.length;
  }

  expireSessions(): void {
    this.#credentials.expireAll();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    await this.#listener?.refuse();
  }

  async #change(change: Partial<BmcFaults>): Promise<void> {
    Object.assign(this.#faults, change);
    if (this.#stopped) return;
    if (this.#faults.down) await this.#listener?.refuse();
    else await this.#listener?.listen();
  }

  #isMute(): boolean {
    return this.#faults.silent || (this.#faults.deadWithHost && this.#options.power.read() === "Off");
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const entry: OpenEntry = {
      atMs: performance.now(),
      method: request.method ?? "",
      path: (request.url ?? "/").replace(/\?.*$/, "").replace(/(?<=.)\/+$/, ""),
      connection: this.#connectionOf(request.socket),
      admitted: !this.#faults.wrongPassword && this.#credentials.admits(request.headers),
      status: undefined,
    };
    this.requests.push(entry);
    if (this.requests.length > LOG_MAX) this.requests.shift();
    const exchange = new BmcExchange(request, response, entry);
    const body = await exchange.body();
    if (this.#isMute() || this.#takeOne("hangNext")) return;
    if (this.#faults.delayMs > 0) await sleep(this.#faults.delayMs);
    if (this.#faults.busy) return exchange.busy(this.#faults.retryAfterS);
    if (this.#faults.garbage) return exchange.garbage();
    try {
      await this.#route(exchange, body);
    } catch (error) {
      exchange.fail(500, "InternalError", `The power switch failed: ${String(error)}`);
    }
  }

  async #route(exchange: BmcExchange, body: unknown): Promise<void> {
    const { method, path, admitted } = exchange.entry;
    const sessions = !this.#faults.noSessions;
    if (path === "/redfish") return exchange.answer(200, { v1: `${ROOT}/` });
    if (path === ROOT) return exchange.answer(200, serviceRoot(this.#options.node, { sessions }));
    if (sessions && path === SESSIONS && method === "POST") return this.#openSession(exchange, body);
    if (!admitted) return exchange.fail(401, "InsufficientPrivilege", "The credentials given are not valid.");
    if (sessions && path.startsWith(SESSION_SERVICE)) return this.#serveSessions(exchange);
    const isReset = path === `${this.systemPath}/Actions/ComputerSystem.Reset`;
    if (isReset && method === "POST") return this.#reset(exchange, body);
    const document = this.#documentAt(path);
    if (document === undefined) return exchange.missing();
    if (method !== "GET") return exchange.fail(405, "OperationNotAllowed", `${method} is not allowed here.`);
    return exchange.answer(200, document);
  }

  #documentAt(path: string): object | undefined {
    if (path === SYSTEMS) {
      const members = [this.systemPath, ...(this.#options.otherSystems ?? [])];
      return collection(SYSTEMS, "ComputerSystemCollection", members);
    }
    if (path === this.systemPath) {
      return computerSystem(this.#machine, {
        powerState: this.#powerStateTold(),
        lastResetTime: this.#lastResetTime,
      });
    }
    const info = `${this.systemPath}/ResetActionInfo`;
    return path === info && this.#machine.resetTypesIn === "ActionInfo"
      ? resetActionInfo(this.#machine)
      : undefined;
  }

  #powerStateTold(): "On" | "Off" {
    const { lieOff } = this.#faults;
    if (typeof lieOff === "number" ? this.#takeOne("lieOff") : lieOff) return "Off";
    return this.#options.power.read();
  }

  #serveSessions(exchange: BmcExchange): void {
    const { method, path } = exchange.entry;
    if (method === "DELETE" && this.#credentials.close(path)) return exchange.answer(204);
    if (method === "GET" && path === SESSION_SERVICE) return exchange.answer(200, sessionService());
    if (method !== "GET" || path !== SESSIONS) return exchange.missing();
    return exchange.answer(200, collection(SESSIONS, "SessionCollection", this.#credentials.sessionPaths));
  }

  #openSession(exchange: BmcExchange, body: unknown): void {
    const login = (body ?? {}) as { UserName?: unknown; Password?: unknown };
    const admitted = !this.#faults.wrongPassword && this.#credentials.matches(login.UserName, login.Password);
    exchange.entry.admitted = admitted;
    if (!admitted)
      return exchange.fail(401, "ResourceAtUriUnauthorized", "User name or password is not valid.");
    const opened = this.#credentials.open();
    if (opened === undefined)
      return exchange.fail(503, "SessionLimitExceeded", "The session limit is reached.");
    exchange.header("x-auth-token", opened.token);
    exchange.header("location", opened.path);
    return exchange.answer(201, session(opened.path, this.#credentials.username));
  }

  async #reset(exchange: BmcExchange, body: unknown): Promise<void> {
    const type = (body as { ResetType?: unknown } | undefined)?.ResetType;
    if (typeof type !== "string" || !this.#machine.resetTypes.includes(type)) {
      return exchange.fail(400, "ActionParameterNotSupported", `ResetType ${String(type)} is not supported.`);
    }
    exchange.entry.resetType = type;
    const faults = this.#faults;
    if (this.#takeOne("busyResets")) return exchange.busy(faults.retryAfterS);
    if (faults.refuse) return exchange.conflict("the system is in a state that does not allow it");
    if (faults.ignore) return exchange.answer(204);
    const wanted = type === "ForceOff" || type === "GracefulShutdown" ? "Off" : "On";
    const restarts = type.endsWith("Restart");
    const state = this.#options.power.read();
    if (restarts ? state === "Off" : state === wanted) {
      return faults.acceptRepeated
        ? exchange.answer(204)
        : exchange.conflict(`the system is already ${state}`);
    }
    if (faults.slowOffMs > 0) {
      this.#actLater(wanted, restarts);
      return exchange.answer(204);
    }
    await this.#act(wanted, restarts);
    if (faults.loseReply) exchange.hangUp();
    else if (!faults.noReply && !this.#isMute()) exchange.answer(204);
  }

  #actLater(wanted: "On" | "Off", restarts: boolean): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      void this.#act(wanted, restarts);
    }, this.#faults.slowOffMs);
    this.#timers.add(timer);
  }

  async #act(wanted: "On" | "Off", restarts: boolean): Promise<void> {
    this.#lastResetTime = new Date().toISOString();
    if (wanted === "Off" || restarts) await this.#options.power.off();
    if (wanted === "On") await this.#options.power.on();
  }

  /** Whether a counted fault applies to this occasion; counts it down. */
  #takeOne(name: "hangNext" | "busyResets" | "lieOff"): boolean {
    const left = this.#faults[name];
    if (typeof left !== "number" || left <= 0) return false;
    this.#faults[name] = left - 1;
    return true;
  }

  #connectionOf(socket: Socket): number {
    const known = this.#connections.get(socket);
    if (known !== undefined) return known;
    this.#connections.set(socket, ++this.#connectionCount);
    return this.#connectionCount;
  }
}

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}

// What a running command holds: its own arguments, the way to the cluster, and the way to the person.
import { parseDurationMs } from "../api/duration.ts";
import type { Given } from "./arguments.ts";
import type { CliWorld, Connection, Outcome } from "./cli-world.ts";
import { DeadlineTransport } from "./deadline-transport.ts";
import { DumpServer } from "./dump-server.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { observeOnce, type Sighting } from "./observe-once.ts";
import { type Paint, painter } from "./terminal.ts";

const DEFAULT_NAMESPACE = "holdfast-system";
const DEFAULT_REQUEST_TIMEOUT_MS = 10_000;

/** The cluster at one moment, and the way there. */
export type Look = Connection & Sighting;

/** One command as it runs. Everything it says goes through here. */
export class CommandContext {
  readonly world: CliWorld;
  readonly words: readonly string[];
  readonly paint: Paint;
  readonly #given: Given;
  #connection: Connection | undefined;

  constructor(world: CliWorld, given: Given, words: readonly string[]) {
    this.world = world;
    this.words = words;
    this.#given = given;
    this.paint = painter(world.terminal, world.environment);
  }

  value(flag: string): string | undefined {
    return this.#given.values.get(flag)?.at(-1);
  }

  values(flag: string): readonly string[] {
    return this.#given.values.get(flag) ?? [];
  }

  has(flag: string): boolean {
    return this.#given.switches.has(flag);
  }

  get json(): boolean {
    return this.value("output") === "json";
  }

  /** The operator's own namespace. */
  get holdfastNamespace(): string {
    return this.value("holdfast-namespace") ?? DEFAULT_NAMESPACE;
  }

  /** Milliseconds of a duration flag; `undefined` where it was not given. Bad ones were refused before the command ran. */
  durationMs(flag: string): number | undefined {
    const text = this.value(flag);
    return text === undefined ? undefined : parseDurationMs(text);
  }

  print(text: string): void {
    this.world.write(text);
  }

  printJson(value: unknown): void {
    this.world.write(`${JSON.stringify(value, undefined, 2)}\n`);
  }

  /** Says what went wrong, and answers with the code. */
  fail(message: string, code: ExitCode = EXIT.failed): ExitCode {
    this.world.complain(`${this.paint("bad", "error:")} ${message}\n`);
    return code;
  }

  /** The way to the cluster, or to the dump that stands in for it. */
  connect(): Outcome<Connection> {
    if (this.#connection !== undefined) return { ok: true, value: this.#connection };
    const opened = this.value("from") === undefined ? this.#dial() : this.#open(this.value("from") ?? "");
    if (opened.ok) this.#connection = opened.value;
    return opened;
  }

  /** Connects, and looks at the cluster once. */
  async look(): Promise<Outcome<Look>> {
    const connection = this.connect();
    if (!connection.ok) return connection;
    const sighting = await observeOnce(connection.value.transport, this.world.clock);
    return sighting.ok ? { ok: true, value: { ...connection.value, ...sighting.value } } : sighting;
  }

  /** Namespace asked for, else the connection's. */
  namespaceOf(connection: Connection): string {
    return this.value("namespace") ?? connection.namespace;
  }

  async close(): Promise<void> {
    await this.#connection?.transport.close();
  }

  #dial(): Outcome<Connection> {
    const { kubeconfig, context } = { kubeconfig: this.value("kubeconfig"), context: this.value("context") };
    const dialled = this.world.connect({ kubeconfig, context });
    if (!dialled.ok) return dialled;
    const deadlineMs = this.durationMs("request-timeout") ?? DEFAULT_REQUEST_TIMEOUT_MS;
    const transport = new DeadlineTransport(dialled.value.transport, deadlineMs, this.world.interrupted);
    return { ok: true, value: { ...dialled.value, transport } };
  }

  #open(path: string): Outcome<Connection> {
    const text = this.world.readFile(path);
    if (!text.ok) return text;
    const server = DumpServer.parse(text.value);
    if (!server.ok) return { ok: false, message: `${path}: ${server.message}` };
    return { ok: true, value: { transport: server.value, server: path, namespace: "default" } };
  }
}

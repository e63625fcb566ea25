// Changes ConfigMaps on a real API server without pause, and watches over what a reflector tells of them.
import type { ApiTransport } from "../../src/kube/transport.ts";
import { type ParseResult, Reflector, type ReflectorOptions } from "../../src/observe/reflector.ts";
import { createRealClock } from "../../src/run/real-clock.ts";

const NAMESPACE = "default";
export const COLLECTION = `/api/v1/namespaces/${NAMESPACE}/configmaps`;
export const SELECTOR = "holdfast.dev/test=reflector";
const NAMES = 40;

export interface Entry {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly value: string;
}

interface ConfigMap {
  readonly metadata: { readonly name: string; readonly uid: string; readonly resourceVersion: string };
  readonly data?: Readonly<Record<string, string>>;
}

/** A reflector of the written ConfigMaps that checks the order of everything it tells. */
export class CheckedReflector {
  readonly reflector: Reflector<Entry>;
  readonly complaints: string[] = [];
  told = 0;
  #replayed = new Map<string, Entry>();
  #dead = new Set<string>();

  constructor(transport: ApiTransport, options: Partial<ReflectorOptions<Entry>> = {}) {
    this.reflector = new Reflector<Entry>({
      name: "configmaps",
      transport,
      clock: createRealClock(),
      random: Math.random,
      path: COLLECTION,
      labelSelector: SELECTOR,
      parse: parseEntry,
      onChange: (key, before, after) => this.#check(key, before, after),
      ...options,
    });
  }

  /** Whether the store, and the history told, equal a fresh list. Answers with the first difference. */
  async difference(transport: ApiTransport): Promise<string | undefined> {
    const truth = await transport.request<{ items: ConfigMap[] }>({
      method: "GET",
      path: COLLECTION,
      query: { labelSelector: SELECTOR },
      deadlineMs: 30_000,
    });
    if (!truth.ok) return truth.message;
    const wanted = new Map(
      truth.value.items.map((item) => [`${NAMESPACE}/${item.metadata.name}`, item.metadata]),
    );
    for (const [name, store] of [
      ["store", this.reflector.store],
      ["history", this.#replayed],
    ] as const) {
      for (const [key, { uid, resourceVersion }] of wanted) {
        const held = store.get(key);
        if (held?.uid !== uid || held.resourceVersion !== resourceVersion)
          return `${name}: ${key} is ${JSON.stringify(held)}, not ${uid} at ${resourceVersion}`;
      }
      for (const key of store.keys()) if (!wanted.has(key)) return `${name}: ${key} should be gone`;
    }
    return undefined;
  }

  #check(key: string, before: Entry | undefined, after: Entry | undefined): void {
    this.told++;
    if (this.#replayed.get(key) !== before) this.complaints.push(`${key}: before is not what was told last`);
    if (after && this.#dead.has(after.uid))
      this.complaints.push(`${key}: ${after.uid} came back from the dead`);
    if (before && after && before.uid !== after.uid) this.complaints.push(`${key}: replaced without removal`);
    if (before && after && Number(after.resourceVersion) <= Number(before.resourceVersion))
      this.complaints.push(`${key}: ${before.resourceVersion} → ${after.resourceVersion}`);
    if (before && before.uid !== after?.uid) this.#dead.add(before.uid);
    if (after) this.#replayed.set(key, after);
    else this.#replayed.delete(key);
  }
}

/** Creates, changes and deletes at random until it is stopped; a failed write is simply not repeated. */
export class Writer {
  writes = 0;
  #transport: ApiTransport;
  /** Told of the answers to a third of the writes, as an operator tells its own. */
  #own: Reflector<Entry>;
  #live = new Map<string, ConfigMap>();
  #stopped = false;
  #done: Promise<void> | undefined;
  #pauseMs: number;

  constructor(transport: ApiTransport, own: Reflector<Entry>, pauseMs = 10) {
    this.#transport = transport;
    this.#own = own;
    this.#pauseMs = pauseMs;
  }

  start(): void {
    this.#stopped = false;
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const name = `cm-${Math.floor(Math.random() * NAMES)}`;
      const live = this.#live.get(name);
      if (live && Math.random() < 0.3) await this.#delete(live);
      else await this.#put(name, live !== undefined);
      await new Promise((resolve) => {
        setTimeout(resolve, this.#pauseMs);
      });
    }
  }

  async #put(name: string, exists: boolean): Promise<void> {
    const outcome = await putConfigMap(this.#transport, name, exists);
    if (!outcome.ok) {
      // Written or not, nobody knows: ask the server next time.
      if (outcome.kind === "alreadyExists")
        this.#live.set(name, { metadata: { name, uid: "", resourceVersion: "" } });
      else this.#live.delete(name);
      return;
    }
    this.writes++;
    this.#live.set(name, outcome.value);
    if (Math.random() < 0.3) this.#own.applyOwnWrite(outcome.value);
  }

  async #delete(live: ConfigMap): Promise<void> {
    const { name, uid } = live.metadata;
    const outcome = await this.#transport.request({
      method: "DELETE",
      path: `${COLLECTION}/${name}`,
      deadlineMs: 2_000,
    });
    this.#live.delete(name);
    if (!outcome.ok) return;
    this.writes++;
    if (uid !== "" && Math.random() < 0.3) this.#own.applyOwnDelete(`${NAMESPACE}/${name}`, uid);
  }
}

/** Creates or changes one of the ConfigMaps. */
export function putConfigMap(transport: ApiTransport, name: string, exists: boolean) {
  const value = String(Math.random());
  const metadata = { name, namespace: NAMESPACE, labels: { "holdfast.dev/test": "reflector" } };
  return exists
    ? transport.request<ConfigMap>({
        method: "PATCH",
        path: `${COLLECTION}/${name}`,
        contentType: "application/merge-patch+json",
        body: { data: { value } },
        deadlineMs: 2_000,
      })
    : transport.request<ConfigMap>({
        method: "POST",
        path: COLLECTION,
        body: { apiVersion: "v1", kind: "ConfigMap", metadata, data: { value } },
        deadlineMs: 2_000,
      });
}

function parseEntry(raw: unknown): ParseResult<Entry> {
  const { metadata, data } = raw as ConfigMap;
  const value = data?.["value"];
  if (value === undefined) return { skip: "no value" };
  return { fact: { uid: metadata.uid, resourceVersion: metadata.resourceVersion, value } };
}

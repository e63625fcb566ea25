import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { Informer } from "../../lab/kubevirt/informer.ts";
import { controllerUidOf, type KubeObject } from "../../lab/kubevirt/objects.ts";
import type { ApiOutcome, ApiRequest, ApiStream, ApiTransport } from "../../src/kube/transport.ts";

/** A list that the test changes and a watch that the test feeds. */
class ScriptedServer implements ApiTransport {
  items: KubeObject[] = [];
  version = 1;
  lists = 0;
  #feed: ((line: unknown) => void) | undefined;
  #close: (() => void) | undefined;

  async request<T>(_request: ApiRequest): Promise<ApiOutcome<T>> {
    this.lists += 1;
    const value = { metadata: { resourceVersion: String(this.version) }, items: structuredClone(this.items) };
    return { ok: true, status: 200, value: value as T };
  }

  async stream(_request: ApiRequest): Promise<ApiOutcome<ApiStream>> {
    const queue: unknown[] = [];
    let wake: () => void = () => undefined;
    const state = { open: true };
    this.#feed = (line) => {
      queue.push(line);
      wake();
    };
    const close = () => {
      state.open = false;
      wake();
    };
    this.#close = close;
    async function* lines() {
      while (state.open || queue.length > 0) {
        if (queue.length > 0) yield queue.shift();
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    }
    return { ok: true, status: 200, value: { lines: lines(), close } };
  }

  async send(type: string, object: KubeObject): Promise<void> {
    this.#feed?.({ type, object: structuredClone(object) });
    await sleep(5);
  }

  redial(): void {
    this.#close?.();
  }

  async close(): Promise<void> {
    this.#close?.();
  }
}

function pod(name: string, version: number, change: Partial<KubeObject["metadata"]> = {}): KubeObject {
  return {
    metadata: {
      namespace: "n",
      name,
      uid: `${name}-uid`,
      resourceVersion: String(version),
      creationTimestamp: "",
      ...change,
    },
  };
}

async function following(items: KubeObject[]) {
  const server = new ScriptedServer();
  server.items = items;
  const informer = new Informer<KubeObject>(server, { path: "/pods", indexBy: controllerUidOf });
  const changes: string[] = [];
  informer.onChange((after, before) =>
    changes.push(`${before?.metadata.resourceVersion ?? "-"}>${after?.metadata.resourceVersion ?? "-"}`),
  );
  await informer.start();
  await sleep(5);
  return { server, informer, changes };
}

it("follows additions, changes and deletions, each told once", async () => {
  const { server, informer, changes } = await following([pod("a", 1)]);
  await server.send("ADDED", pod("b", 2));
  await server.send("MODIFIED", pod("b", 3));
  await server.send("DELETED", pod("b", 4));
  expect(changes).toEqual(["->1", "->2", "2>3", "3>-"]);
  expect(informer.get("n/a")).toBeDefined();
  expect(informer.get("n/b")).toBeUndefined();
  await informer.stop();
});

it("takes over the answer to an own write and does not fall back to what the watch tells late", async () => {
  const { server, informer, changes } = await following([pod("a", 1)]);
  informer.absorb(pod("a", 5));
  await server.send("MODIFIED", pod("a", 4));
  await server.send("MODIFIED", pod("a", 5));
  expect(informer.get("n/a")?.metadata.resourceVersion).toBe("5");
  expect(changes).toEqual(["->1", "1>5"]);
  await informer.stop();
});

it("does not bring back an object whose deletion it has seen", async () => {
  const { server, informer } = await following([pod("a", 1)]);
  await server.send("DELETED", pod("a", 6));
  informer.absorb(pod("a", 5));
  expect(informer.get("n/a")).toBeUndefined();
  await informer.stop();
});

it("finds by owner, also after the owner changed", async () => {
  const owner = (uid: string) => ({
    ownerReferences: [{ apiVersion: "v1", kind: "X", name: "x", uid, controller: true }],
  });
  const { server, informer } = await following([pod("a", 1, owner("one"))]);
  expect(informer.indexed("one")).toHaveLength(1);
  await server.send("MODIFIED", pod("a", 2, owner("two")));
  expect(informer.indexed("one")).toEqual([]);
  expect(informer.indexed("two")).toHaveLength(1);
  await informer.stop();
});

it("lists again when the server gives the watch up, and notices what went missing meanwhile", async () => {
  const { server, informer, changes } = await following([pod("a", 1), pod("b", 1)]);
  server.items = [pod("b", 1), pod("a", 9, { uid: "another" })];
  server.version = 9;
  await server.send("ERROR", pod("", 0));
  await sleep(700);
  expect(server.lists).toBe(2);
  expect(informer.get("n/a")?.metadata.uid).toBe("another");
  expect(changes).toEqual(["->1", "->1", "1>-", "->9"]);
  await informer.stop();
});

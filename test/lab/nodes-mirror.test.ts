import { describe, expect, it } from "vitest";
import { Mirror } from "../../lab/nodes/mirror.ts";
import type { ApiDoor } from "../../lab/nodes/node-link.ts";
import type { KubernetesObject } from "../../lab/nodes/objects.ts";
import { type ApiOutcome, type ApiRequest, type ApiStream, StreamBroken } from "../../src/kube/transport.ts";

const tick = () => new Promise((resolve) => setTimeout(resolve, 5));

function thing(name: string, resourceVersion: number, uid = name): KubernetesObject {
  return { metadata: { name, uid, resourceVersion: String(resourceVersion) } };
}

/** A list that tests change, and watches that tests feed. */
class Collection implements ApiDoor {
  items: KubernetesObject[] = [];
  version = 1;
  lists = 0;
  readonly watchedFrom: unknown[] = [];
  #feed: ((line: unknown) => void) | undefined;
  #break: (() => void) | undefined;

  async request<T>(): Promise<ApiOutcome<T>> {
    this.lists += 1;
    const value = { metadata: { resourceVersion: String(this.version) }, items: this.items };
    return { ok: true, status: 200, value: value as T };
  }

  async stream(request: ApiRequest): Promise<ApiOutcome<ApiStream>> {
    this.watchedFrom.push(request.query?.["resourceVersion"]);
    const queue: unknown[] = [];
    let wake: () => void = () => undefined;
    let end: "open" | "broken" | "closed" = "open";
    this.#feed = (line) => {
      queue.push(line);
      wake();
    };
    const finish = (how: "broken" | "closed") => () => {
      end = how;
      wake();
    };
    this.#break = finish("broken");
    const isOver = () => end;
    async function* lines() {
      for (;;) {
        while (queue.length > 0) yield queue.shift();
        if (isOver() === "closed") return;
        if (isOver() === "broken") throw new StreamBroken("broken");
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
    return { ok: true, status: 200, value: { lines: lines(), close: finish("closed") } };
  }

  send(type: string, object: unknown): void {
    this.#feed?.({ type, object });
  }

  breakWatch(): void {
    this.#break?.();
  }
}

async function follow(collection: Collection) {
  const told: string[] = [];
  const mirror = new Mirror(collection, {
    path: "/things",
    pause: tick as () => Promise<void>,
    listener: {
      changed: ({ metadata }) => told.push(`${metadata.name}@${metadata.resourceVersion}`),
      deleted: ({ metadata }) => told.push(`-${metadata.name}`),
      synced: () => told.push("synced"),
    },
  });
  await tick();
  return { mirror, told };
}

describe("Mirror", () => {
  it("lists once, then follows the watch from where the list ended", async () => {
    const collection = new Collection();
    collection.items = [thing("a", 1)];
    const { mirror, told } = await follow(collection);
    collection.send("ADDED", thing("b", 2));
    collection.send("DELETED", thing("a", 3));
    await tick();
    expect(told).toEqual(["a@1", "synced", "b@2", "-a"]);
    expect([...mirror.values()].map(({ metadata }) => metadata.name)).toEqual(["b"]);
    expect(collection.watchedFrom).toEqual(["1"]);
    mirror.stop();
  });

  it("goes on after a broken watch from the last version it saw, bookmarks included, without listing again", async () => {
    const collection = new Collection();
    const { mirror } = await follow(collection);
    collection.send("BOOKMARK", thing("", 9));
    await tick();
    collection.breakWatch();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(collection.lists).toBe(1);
    expect(collection.watchedFrom).toEqual(["1", "9"]);
    mirror.stop();
  });

  it("lists again when its version is too old, and finds what was deleted meanwhile", async () => {
    const collection = new Collection();
    collection.items = [thing("a", 1), thing("b", 1)];
    const { mirror, told } = await follow(collection);
    collection.items = [thing("b", 5)];
    collection.version = 5;
    collection.send("ERROR", { code: 410 });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(told.slice(3)).toEqual(["-a", "b@5"]);
    mirror.stop();
  });

  it("tells of a new object under an old name as a deletion and a change", async () => {
    const collection = new Collection();
    collection.items = [thing("a", 1, "first")];
    const { mirror, told } = await follow(collection);
    collection.items = [thing("a", 5, "second")];
    collection.send("ERROR", { code: 410 });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(told.slice(2)).toEqual(["-a", "a@5"]);
    mirror.stop();
  });

  it("is not set back by an event older than the answer to an own write", async () => {
    const collection = new Collection();
    collection.items = [thing("a", 1)];
    const { mirror, told } = await follow(collection);
    mirror.learn(thing("a", 7));
    collection.send("MODIFIED", thing("a", 6));
    await tick();
    expect(mirror.get("a")?.metadata.resourceVersion).toBe("7");
    expect(told).toEqual(["a@1", "synced"]);
    mirror.stop();
  });
});

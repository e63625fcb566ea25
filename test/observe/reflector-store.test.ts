// The order in which a store believes what it is told, where lists, events and our own words contradict each other.
import { describe, expect, it } from "vitest";
import { WatchStore } from "../../src/observe/watch-store.ts";

const object = (uid: string, resourceVersion: number, name = "a") => ({
  metadata: { name, uid, resourceVersion: String(resourceVersion) },
});

/** A store that has listed `items` at 100; its facts are `uid@resourceVersion`. */
function listed(...items: readonly unknown[]): WatchStore<string> {
  const store = new WatchStore<string>((raw) => {
    const { uid, resourceVersion } = (raw as ReturnType<typeof object>).metadata;
    return { fact: `${uid}@${resourceVersion}` };
  }, undefined);
  store.beginList();
  for (const item of items) store.put(item, "list", 0);
  store.finishList("100");
  return store;
}

const held = (store: WatchStore<string>) => store.facts.get("a");

describe("after our own delete, the store", () => {
  it("believes no newer state of the same life, in an event or on a list begun before", () => {
    const store = listed(object("one", 50));
    store.beginList();
    store.bury("a", "one");
    store.put(object("one", 110), "list", 0);
    store.put(object("one", 111), "event", 0);
    store.put(object("one", 111), "read", 0);
    expect(held(store)).toBeUndefined();
    store.finishList("112");
    store.put(object("one", 113), "event", 0);
    expect(held(store)).toBeUndefined();
  });

  it("believes no earlier life of the same name, whose end the watch has yet to tell", () => {
    const store = listed(object("one", 50));
    store.put(object("two", 120), "read", 0);
    store.beginList();
    store.bury("a", "two");
    store.put(object("one", 105), "event", 0);
    expect(held(store)).toBeUndefined();
    store.finishList("102");
    store.put(object("one", 105), "event", 0);
    expect(held(store)).toBeUndefined();
    store.put(object("three", 130), "event", 0);
    expect(held(store)).toBe("three@130");
  });

  it("believes a list begun later, whatever the resourceVersion on it", () => {
    const store = listed(object("one", 50));
    store.bury("a", "one");
    store.beginList();
    store.put(object("one", 50), "list", 0);
    store.finishList("100");
    expect(held(store)).toBe("one@50");
  });

  it("does not mind that an older life is deleted on its word while it holds a newer one", () => {
    const store = listed(object("one", 50));
    store.put(object("two", 120), "read", 0);
    store.bury("a", "one");
    expect(held(store)).toBe("two@120");
  });

  it("forgets the oldest of more than 4,096 deletions", () => {
    const store = listed();
    for (let i = 0; i <= 4_096; i++) store.bury(`name-${i}`, `uid-${i}`);
    store.put(object("uid-0", 110, "name-0"), "event", 0);
    store.put(object("uid-1", 110, "name-1"), "event", 0);
    expect([...store.facts.keys()]).toEqual(["name-0"]);
  });
});

describe("after a read found nothing, the store", () => {
  it("believes nothing of the time before the read", () => {
    const store = listed(object("one", 50));
    store.absent("a", "120");
    store.put(object("one", 110), "event", 0);
    store.put(object("two", 115), "event", 0);
    expect(held(store)).toBeUndefined();
    store.put(object("three", 121), "event", 0);
    expect(held(store)).toBe("three@121");
  });

  it("keeps what it knows to be younger", () => {
    const store = listed(object("one", 50));
    store.put(object("two", 130), "event", 0);
    store.absent("a", "120");
    expect(held(store)).toBe("two@130");
  });
});

describe("a store", () => {
  it("knows a list for stale that is older than any word heard before it was begun", () => {
    const store = listed(object("one", 50));
    store.put(object("one", 130), "read", 0);
    store.beginList();
    store.put(object("one", 140), "read", 0);
    expect(["129", "130", "139"].map((version) => store.isStaleList(version))).toEqual([true, false, false]);
  });

  it("believes anything once order is forgotten", () => {
    const store = listed(object("one", 50), object("gone", 60, "b"));
    store.beginList();
    store.bury("a", "one");
    store.forgetOrder();
    expect(store.isStaleList("7")).toBe(false);
    store.put(object("zero", 7), "list", 0);
    store.finishList("8");
    expect([...store.facts.values()]).toEqual(["zero@7"]);
    store.put(object("zero", 9), "event", 0);
    expect(held(store)).toBe("zero@9");
  });

  it("keeps an object younger than the list that does not show it", () => {
    const store = listed();
    store.beginList();
    store.put(object("one", 130), "read", 0);
    store.finishList("120");
    expect(held(store)).toBe("one@130");
    store.beginList();
    store.finishList("131");
    expect(held(store)).toBeUndefined();
  });

  it("is not misled by the late deletion of an earlier life", () => {
    const store = listed(object("one", 50));
    store.put(object("two", 130), "read", 0);
    store.delete(object("one", 110));
    expect(held(store)).toBe("two@130");
    store.delete(object("two", 140));
    expect(held(store)).toBeUndefined();
  });
});

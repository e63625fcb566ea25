// A mutation whose text is gone breaks nothing, and one that the docs do not name is not known to be caught: both fail here.
// That each is caught takes minutes: `npm run sim:mutations`.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MUTATIONS } from "./mutation-list.ts";

const ROOT = new URL("../../", import.meta.url);
const ENOUGH = 15;

function textOf(path: string): string {
  return readFileSync(new URL(path, ROOT), "utf8");
}

describe("the mutations", () => {
  it("are enough, and no two have one name", () => {
    expect(new Set(MUTATIONS.map(({ name }) => name)).size).toBe(MUTATIONS.length);
    expect(MUTATIONS.length).toBeGreaterThanOrEqual(ENOUGH);
  });

  it.each(MUTATIONS)("find what they break where they look for it: $name", ({ edits }) => {
    for (const { file, find, replace } of edits) {
      expect(textOf(file).split(find), `${file}: ${find}`).toHaveLength(2);
      expect(replace).not.toBe(find);
    }
  });

  it("are in the documentation, each with the histories that it took", () => {
    const [, section = ""] = textOf("docs/simulation.md").split("## Mutations\n");
    const rows = [...section.matchAll(/^\| (.+?) \| (\d+) \| (.+?) \|$/gm)].map(([, name]) => name);
    expect(rows).toEqual(MUTATIONS.map(({ name }) => name));
    expect(section).not.toContain("not noticed");
  });
});

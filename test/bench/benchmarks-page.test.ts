import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { BENCHES } from "../../bench/benches.ts";

it("docs/benchmarks.md has a section for every benchmark, in their order", () => {
  const page = readFileSync(new URL("../../docs/benchmarks.md", import.meta.url), "utf8");
  const sections = [...page.matchAll(/^## (.+)$/gm)].map(([, title]) => title);
  expect(sections).toEqual([...BENCHES.map(({ name }) => name), "Measured"]);
});

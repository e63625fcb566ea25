// docs/fencing.md names what the schemas have: every method, every setting of a device, every outcome.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { FORBIDDEN_PARAMETER, fenceAgent, redfish } from "../src/api/fence-device-settings.ts";
import { fencingTopology } from "../src/api/fencing-topology.ts";
import { nodeFencing } from "../src/api/node-fencing.ts";
import { STRONG_REMEDIATIONS } from "../src/model/proof.ts";

const page = readFileSync(join(import.meta.dirname, "../docs/fencing.md"), "utf8");

/** First cells of the table under a heading. */
function rowsUnder(heading: string): readonly string[] {
  const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  return [...section.matchAll(/^\| `([A-Za-z0-9]+)` \|/gm)].map((match) => match[1] ?? "");
}

/** The values of an enum in a kind's JSON schema, by path. */
function enumAt(schema: z.ZodType, path: readonly string[]): readonly string[] {
  let here: unknown = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  for (const step of path) here = (here as Readonly<Record<string, unknown>>)[step];
  return here as readonly string[];
}

describe("docs/fencing.md", () => {
  it("has a row for every method, and for none that there is not", () => {
    const methods = enumAt(fencingTopology.spec, [
      "properties",
      "levels",
      "items",
      "properties",
      "method",
      "enum",
    ]);
    expect(methods.length).toBeGreaterThan(1);
    expect([...rowsUnder("Methods")].sort()).toEqual([...methods].sort());
  });

  it("has a row for every remediation of which the word is strong, and for none that is weak", () => {
    const strong = rowsUnder("Remediation").filter((kind) => !page.includes(`| \`${kind}\` | weak`));
    expect([...strong].sort()).toEqual([...STRONG_REMEDIATIONS].sort());
  });

  it.each([
    ["Redfish", redfish],
    ["FenceAgent", fenceAgent],
  ] as const)("has a row for every setting of %s, and for none that there is not", (heading, schema) => {
    expect([...rowsUnder(heading)].sort()).toEqual(Object.keys(schema.shape).sort());
  });

  it("has a row for every outcome of an attempt, and for none that there is not", () => {
    const path = ["properties", "attempts", "items", "properties", "outcome", "enum"];
    expect([...rowsUnder("What the ledger says")].sort()).toEqual(
      [...enumAt(nodeFencing.status, path)].sort(),
    );
  });

  it("names parameters as forbidden that are", () => {
    const [, list = ""] = /^- These parameters cannot be set: (.*?), and those/m.exec(page) ?? [];
    const named = [...list.matchAll(/`([a-z_]+)`/g)].map((match) => match[1] ?? "");
    expect(named.length).toBeGreaterThan(5);
    for (const name of named) expect(name).toMatch(FORBIDDEN_PARAMETER);
  });
});

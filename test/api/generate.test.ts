import { readFileSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { customResourceDefinition } from "../../src/api/crd.ts";
import { findDrift, generatedFiles, KINDS } from "../../src/api/generate.ts";

const CRDS = join(import.meta.dirname, "../../crds");

describe("the files in crds/", () => {
  it("are up to date with the schemas", async () => {
    expect(await findDrift()).toEqual([]);
  });

  it("are all named for kubectl apply -k", () => {
    const { resources } = parse(readFileSync("crds/Kustomization", "utf8")) as { resources: string[] };
    expect(resources.toSorted()).toEqual([...generatedFiles().keys()].toSorted());
  });

  it("hold exactly the definitions, however YAML folds them", () => {
    const read = [...generatedFiles().values()].map((content) => parse(content) as unknown);
    expect(read).toEqual(KINDS.map((kind) => customResourceDefinition(kind)));
  });

  it("use no anchors, which not every reader of YAML follows", () => {
    for (const content of generatedFiles().values()) expect(content).not.toMatch(/[:-] [&*][a-z]/);
  });
});

describe("drift", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "holdfast-crds-"));
    await cp(CRDS, folder, { recursive: true });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("is reported with the file and how to mend it", async () => {
    const name = "holdfast.dev_nodefencings.yaml";
    await writeFile(join(folder, name), `${await readFile(join(folder, name), "utf8")}# by hand\n`);
    await rm(join(folder, "holdfast.dev_havirtualmachines.yaml"));
    await writeFile(join(folder, "holdfast.dev_old.yaml"), "{}");
    expect(await findDrift(folder)).toEqual([
      "crds/holdfast.dev_old.yaml belongs to no kind in src/api/: remove it, or run `npm run generate`",
      "crds/holdfast.dev_havirtualmachines.yaml is missing: run `npm run generate` and commit the result",
      "crds/holdfast.dev_nodefencings.yaml is out of date with src/api/: run `npm run generate` and commit the result",
    ]);
  });
});

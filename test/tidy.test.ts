// The house rules that no linter knows: which room may know which, what must not be named, and what docs and code agree on.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { findDrift } from "../charts/generate.ts";
import { CONDITION_REASONS, EVENT_REASONS, READINESS_REASONS, REFUSAL_REASONS } from "../src/api/reasons.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: ROOT,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => file !== "" && existsSync(join(ROOT, file)));
const code = files.filter((file) => file.endsWith(".ts"));
const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");

/** Rooms of src and the rooms each may import beside itself. */
const MAY_KNOW: Readonly<Record<string, readonly string[]>> = {
  model: [],
  api: ["model"],
  kube: ["model"],
  decide: ["model", "api"],
  observe: ["model", "api", "kube"],
  act: ["model", "api", "kube"],
  measure: ["model", "api"],
  config: ["model"],
  run: ["model", "api", "kube", "decide", "observe", "act", "measure", "config"],
  cli: ["model", "api", "kube", "decide", "observe", "measure", "config"],
  main: ["model", "api", "kube", "decide", "observe", "act", "measure", "config", "run"],
};

function roomOf(file: string): string {
  const [, second = ""] = file.split("/");
  return second.replace(/\.ts$/, "");
}

function importsOf(file: string): readonly string[] {
  const found = read(file).matchAll(/^(?:import|export)\s[^;]*?from\s+"(\.[^"]+)"/gm);
  return [...found].map((match) => normalize(join(dirname(file), match[1] ?? "")));
}

describe("the arrows between rooms", () => {
  const src = code.filter((file) => file.startsWith("src/"));

  it("reads enough imports to be worth anything", () => {
    expect(src.flatMap(importsOf).length).toBeGreaterThan(150);
  });

  it.each(src)("%s knows only rooms it may know", (file) => {
    const allowed = MAY_KNOW[roomOf(file)];
    expect(
      allowed,
      `${roomOf(file)} is a new room: add it to MAY_KNOW and docs/architecture.md`,
    ).toBeDefined();
    for (const target of importsOf(file)) {
      if (!target.startsWith("src/")) {
        expect(target, `${file} reaches out of src`).toBe("package.json");
        continue;
      }
      const room = roomOf(target);
      if (room !== roomOf(file)) expect(allowed, `${file} imports ${target}`).toContain(room);
    }
  });
});

describe("purity", () => {
  it.each(code.filter((file) => /^src\/(decide|model)\//.test(file)))(
    "%s knows no clock, no I/O and no client",
    (file) => {
      expect(read(file)).not.toMatch(
        /\bDate\.now|\bnew Date\(|Math\.random|setTimeout|setInterval|\basync\b|\bawait\b|from "node:|@kubernetes\//,
      );
    },
  );

  it.each(
    code.filter(
      (file) =>
        file.startsWith("src/") &&
        !/^src\/(run\/real-clock|kube\/http-transport|main|cli\/main|config)\.ts$/.test(file),
    ),
  )("%s takes time and randomness from outside", (file) => {
    expect(read(file)).not.toMatch(
      /\bDate\.now\(|\bMath\.random\(|\bsetTimeout\(|\bsetInterval\(|process\.env/,
    );
  });
});

describe("names", () => {
  it("no file is called after nothing in particular", () => {
    expect(
      files.filter((file) => /(^|\/)(utils?|helpers?|managers?|common|misc)(\.ts|\/)/i.test(file)),
    ).toEqual([]);
  });

  it("nothing tells of the machine it was written on", () => {
    const telling = code.filter(
      (file) => file !== "test/tidy.test.ts" && /["'`/ ]\/(work|root|farm)\/[a-z]/.test(read(file)),
    );
    expect(telling).toEqual([]);
  });
});

describe("docs and code", () => {
  it("the chart and the docs repeat other files as those are now", () => {
    expect(findDrift()).toEqual([]);
  });

  const page = read("docs/reasons.md");
  const documented = [...page.matchAll(/^\| `([A-Za-z]+)` \|/gm)].map((match) => match[1]);

  it("docs/reasons.md explains every reason, and none that is not given", () => {
    const given = [...CONDITION_REASONS, ...EVENT_REASONS, ...REFUSAL_REASONS, ...READINESS_REASONS];
    expect(new Set(documented)).toEqual(new Set(given));
  });

  it("every relative link in the docs leads somewhere", () => {
    const broken: string[] = [];
    for (const file of files.filter((one) => one.endsWith(".md"))) {
      for (const match of read(file).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)) {
        const target = normalize(join(dirname(file), match[1] ?? ""));
        if (!existsSync(join(ROOT, target))) broken.push(`${file}: ${match[1]}`);
      }
    }
    expect(broken).toEqual([]);
  });
});

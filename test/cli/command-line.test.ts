// The plugin's surface: help that teaches, mistakes that are named, exit codes that docs/cli.md tells, completion, colour.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { COMMANDS } from "../../src/cli/commands.ts";
import { EXIT } from "../../src/cli/exit-codes.ts";
import { run } from "./cli-bench.ts";
import { Dump, shop } from "./dump.ts";

const PAGE = readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8");
const NAMES = COMMANDS.filter(({ hidden }) => hidden !== true).map(({ name }) => name);

describe("docs/cli.md", () => {
  it("lists every exit code of the code, and no other", () => {
    const documented = [...PAGE.matchAll(/^\| (\d+) \|/gm)].map((match) => Number(match[1]));
    expect(documented).toEqual(Object.values(EXIT));
  });

  it("lists every command of the code, and no other", () => {
    const documented = [...PAGE.matchAll(/^\| `([a-z-]+)` \|/gm)].map((match) => match[1]);
    expect(new Set(documented)).toEqual(new Set(NAMES));
  });
});

describe("help", () => {
  it("lists every command", async () => {
    const { code, out } = await run(["--help"]);
    for (const name of NAMES) expect(out).toContain(`  ${name} `);
    expect(code).toBe(0);
  });

  it.each(NAMES)("%s --help teaches: what for, usage, examples", async (name) => {
    const { code, out } = await run([name, "--help"]);
    expect(out.split("\n\n").length).toBeGreaterThan(2);
    expect(out).toMatch(new RegExp(`Usage:\n {2}kubectl holdfast ${name}`));
    expect(out).toMatch(/Examples:\n {2}# /);
    expect(code).toBe(0);
    expect(
      Math.max(
        ...out
          .split("\n")
          .filter((line) => !line.startsWith("  "))
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(100);
  });

  it.each(COMMANDS.flatMap(({ name, examples }) => examples.map(([line]) => [name, line] as const)))(
    "the example of %s is a line that its parser takes: %s",
    async (_name, line) => {
      const [, text = ""] = /kubectl[- ]holdfast ([^|>)]*)/.exec(line) ?? [];
      const words = text.match(/(?:[^\s"]|"[^"]*")+/g) ?? [];
      if (words.length === 0) return;
      const { code } = await run(words.map((word) => word.replaceAll('"', "")));
      expect(code).not.toBe(EXIT.usage);
    },
  );
});

describe("a wrong command line", () => {
  it.each([
    [["stauts"], "stauts is no command"],
    [["status", "--wathc"], "--wathc is no flag of this command; did you mean --watch?"],
    [["status", "--interval=soon"], "--interval: found soon; allowed: a duration"],
    [["status", "-o", "xml"], "--output: found xml; allowed: json, text"],
    [["status", "extra"], '"extra" is one word too many'],
    [["fence"], "NODE is missing"],
    [["fence", "--reason"], "--reason needs a value"],
    [["explain", "pod", "x"], 'explain vm or explain node, not "pod"'],
    [["completion", "tcsh"], "no completion for tcsh"],
  ])("%j: %s", async (argv, words) => {
    const { code, err, out } = await run(argv);
    expect(err).toContain(words);
    expect([code, out]).toEqual([EXIT.usage, ""]);
  });

  it("is not taken as a reason to ask a cluster that cannot be reached", async () => {
    const { code, err } = await run(["status"]);
    expect(err).toContain("no kubeconfig in this test");
    expect(code).toBe(EXIT.failed);
  });
});

describe("a dump", () => {
  it.each([
    ["that is no YAML", "{", "is no YAML or JSON"],
    ["that holds nothing", "", "holds no Kubernetes objects"],
    ["of something else", "just words", "holds text where a Kubernetes object should be"],
    ["with an object without a name", "kind: Node", "without kind or metadata.name"],
  ])("%s is refused by name", async (_what, text, words) => {
    const { code, err } = await run(["status", "--from=d"], { files: { d: text } });
    expect(err).toContain(words);
    expect(code).toBe(EXIT.failed);
  });

  it("names the objects that it holds and nobody can read", async () => {
    const dump = new Dump().operator().node("node-1").promise("db", { priority: "high" });
    const { out } = await run(["status", "--from=d"], { files: { d: dump.yaml } });
    expect(out).toContain("1 object could not be read:");
    expect(out).toContain("protections shop/db: spec.priority");
  });
});

describe("colour", () => {
  const files = { d: shop().yaml };
  const colours = (text: string): boolean => text.includes("\u001b[");

  it("is for terminals, and for nobody who has asked for none", async () => {
    const argv = ["status", "--from=d"];
    expect(colours((await run(argv, { files })).out)).toBe(false);
    expect(colours((await run(argv, { files, terminal: true })).out)).toBe(true);
    expect(colours((await run(argv, { files, terminal: true, environment: { NO_COLOR: "1" } })).out)).toBe(
      false,
    );
  });
});

describe("completion", () => {
  const offers = async (...words: readonly string[]): Promise<readonly string[]> => {
    const { out } = await run(["__complete", ...words], { transport: shop().server() });
    const lines = out.trimEnd().split("\n");
    expect(lines.at(-1)).toBe(":4");
    return lines.slice(0, -1).map((line) => line.split("\t")[0] ?? "");
  };

  it("offers commands, flags, words and the cluster's own names", async () => {
    expect(await offers("ex")).toEqual(["explain"]);
    expect(await offers("status", "--wa")).toEqual(["--watch"]);
    expect(await offers("explain", "")).toEqual(["vm", "node"]);
    expect(await offers("explain", "node", "node-")).toEqual(["node-1", "node-2", "node-3", "node-4"]);
    expect(await offers("explain", "vm", "")).toEqual(["db", "web", "batch", "cache"]);
    expect(await offers("fence", "node-3")).toEqual(["node-3"]);
    expect(await offers("status", "-o", "")).toEqual(["json", "text"]);
    expect(await offers("status", "--output=j")).toEqual(["--output=json"]);
    expect(await offers("nothing", "")).toEqual([]);
  });

  it.each(["bash", "zsh", "fish"])("there is a script for %s", async (shell) => {
    expect((await run(["completion", shell])).out).toContain("kubectl-holdfast __complete");
  });
});

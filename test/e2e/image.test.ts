// The two images of the Dockerfile: what is in them, who they run as, and that the same source gives the same image, but
// for the times that a builder without rewrite-timestamp stamps on it.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { docker, missingImages, provideDocker } from "../../lab/images/docker.ts";

const ROOT = join(import.meta.dirname, "../..");
const IMAGE = "holdfast:image-test";
const FULLER = "holdfast:image-test-fence-agents";
const BASES = [
  "node:24-bookworm-slim",
  "debian:bookworm-slim",
  "gcr.io/distroless/nodejs24-debian12:nonroot",
] as const;
const OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024;

const daemon = await provideDocker();
const problem = await whatIsMissing();
if (problem !== undefined) console.warn(`SKIPPED: no image can be built: ${problem}. See docs/e2e.md`);

async function whatIsMissing(): Promise<string | undefined> {
  if (!daemon.ok) return `no Docker: ${daemon.why}`;
  const missing = await missingImages(BASES);
  return missing.length === 0
    ? undefined
    : `base images that are neither here nor can be pulled: ${missing.join(", ")}`;
}

interface ImageConfig {
  readonly Size: number;
  readonly Config: { readonly User: string; readonly Labels: Readonly<Record<string, string>> };
  readonly RootFS: { readonly Layers: readonly string[] };
}

/** What an image adds to its base: each entry as tar lists it but without its time, with a digest of what is in it. */
interface Saved {
  readonly layers: readonly string[];
  readonly added: readonly string[];
  /** The image's own description without its times. */
  readonly config: unknown;
}

const build = (...args: readonly string[]) =>
  docker(["build", "--network=host", "--quiet", "--build-arg=VERSION=1.2.3", ...args, ROOT]);

async function inspect(image: string): Promise<ImageConfig> {
  const [config] = JSON.parse(await docker(["image", "inspect", image])) as readonly ImageConfig[];
  if (config === undefined) throw new Error(`there is no image ${image}`);
  return config;
}

describe.skipIf(problem !== undefined)("the images", () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-image-"));

  beforeAll(() => build("--tag", IMAGE).then(() => undefined), 20 * 60_000);
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await docker(["rmi", "--force", IMAGE, `${IMAGE}-again`, FULLER]).catch(() => undefined);
    if (daemon.ok) await daemon.stop();
  }, 120_000);

  const tar = async (...args: readonly string[]) =>
    (await promisify(execFile)("tar", args, { encoding: "buffer", maxBuffer: OUTPUT_LIMIT_BYTES })).stdout;

  /** Takes an image apart. */
  async function takeApart(image: string, base: string): Promise<Saved> {
    const place = mkdtempSync(join(folder, "saved-"));
    await docker(["save", "--output", join(place, "image.tar"), image]);
    await tar("--extract", `--directory=${place}`, `--file=${join(place, "image.tar")}`);
    const [manifest] = JSON.parse(readFileSync(join(place, "manifest.json"), "utf8")) as readonly {
      readonly Config: string;
      readonly Layers: readonly string[];
    }[];
    const { RootFS } = await inspect(image);
    const below = (await inspect(base)).RootFS.Layers.length;
    const added: string[] = [];
    for (const layer of manifest?.Layers.slice(below) ?? [])
      added.push(...(await entriesOf(join(place, layer))));
    const config = JSON.parse(readFileSync(join(place, manifest?.Config ?? ""), "utf8")) as object;
    return { layers: RootFS.Layers.slice(0, below), added, config: withoutTimes(config) };
  }

  async function entriesOf(layer: string): Promise<readonly string[]> {
    const listed = (await tar("--list", "--verbose", "--numeric-owner", `--file=${layer}`)).toString();
    return Promise.all(
      listed
        .trimEnd()
        .split("\n")
        .map(async (line) => {
          const [mode = "", owner = "", size = "", , , name = ""] = line.split(/\s+/);
          if (!mode.startsWith("-")) return `${mode} ${owner} ${name}`;
          const content = await tar("--extract", "--to-stdout", `--file=${layer}`, name);
          return `${mode} ${owner} ${name} ${size} ${createHash("sha256").update(content).digest("hex")}`;
        }),
    );
  }

  test("the small one runs as nobody, tells what it is, and adds a bundled file with its bill of materials, no shell", async () => {
    const { Config, Size } = await inspect(IMAGE);
    expect(Config.User).toBe("65532:65532");
    expect(Config.Labels).toMatchObject({
      "org.opencontainers.image.licenses": "Apache-2.0",
      "org.opencontainers.image.version": "1.2.3",
      "org.opencontainers.image.base.name": BASES[2],
    });
    const { added } = await takeApart(IMAGE, BASES[2]);
    console.log(`image ${Math.round(Size / 1e6)} MB\n${added.join("\n")}`);
    const names = added.map((line) => /app\/?\S*/.exec(line)?.[0]);
    expect(new Set(names)).toEqual(new Set(["app/", "app/holdfast.mjs", "app/sbom.cdx.json"]));
    for (const line of added.filter((one) => one.startsWith("-"))) expect(line).toMatch(/^-r--r--r--/);
    const found = await docker(["run", "--rm", "--entrypoint=/bin/sh", IMAGE, "-c", "true"]).then(
      () => true,
      () => false,
    );
    if (found) console.warn("SKIPPED: that the base has no shell: this one is a stand-in, and has one");
  });

  test("the bill of materials names every package that the operator uses, in its version", async () => {
    const read = 'process.stdout.write(require("node:fs").readFileSync("/app/sbom.cdx.json"))';
    const text = await docker(["run", "--rm", "--entrypoint=/nodejs/bin/node", IMAGE, "-e", read]);
    const { components } = JSON.parse(text) as {
      readonly components: readonly {
        readonly name: string;
        readonly group?: string;
        readonly version: string;
      }[];
    };
    const named = components.map(
      ({ group, name, version }) => `${group ? `${group}/` : ""}${name}@${version}`,
    );
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
      readonly dependencies: Readonly<Record<string, string>>;
    };
    for (const [name, version] of Object.entries(dependencies)) expect(named).toContain(`${name}@${version}`);
  });

  test("the same source gives the same image twice: same base, same files, same words; only times differ", async () => {
    const first = await takeApart(IMAGE, BASES[2]);
    await build("--no-cache", "--tag", `${IMAGE}-again`);
    const second = await takeApart(`${IMAGE}-again`, BASES[2]);
    expect(second).toEqual(first);
    expect(first.added.some((line) => line.includes("app/holdfast.mjs"))).toBe(true);
    // The comparison can see a difference.
    const context = join(folder, "other");
    mkdirSync(context);
    writeFileSync(join(context, "Dockerfile"), `FROM ${IMAGE}\nCOPY note /app/note\n`);
    writeFileSync(join(context, "note"), "other");
    await docker(["build", "--quiet", "--tag", `${IMAGE}-again`, context]);
    expect(await takeApart(`${IMAGE}-again`, BASES[2])).not.toEqual(first);
  });

  test("the fuller one runs as nobody, read-only, and its agents say what they can do", async () => {
    await build("--target=with-fence-agents", "--tag", FULLER);
    const { Config } = await inspect(FULLER);
    expect(Config.User).toBe("65532:65532");
    const hardened = ["run", "--rm", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--network=none"];
    for (const agent of ["fence_redfish", "fence_ipmilan", "fence_apc_snmp"]) {
      const told = await docker([
        ...hardened,
        `--entrypoint=/usr/sbin/${agent}`,
        FULLER,
        "--action=metadata",
      ]);
      expect(told, agent).toMatch(/<action name="off"/);
    }
    const help = await docker([...hardened, FULLER, "--help"]);
    expect(help).toContain("--node-lost-after");
  });
});

/** Drops what says when: creation times, and the containers in which a classic builder worked. */
function withoutTimes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutTimes);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(
    ([name]) => !["created", "container", "rootfs", "Hostname", "Image"].includes(name),
  );
  return Object.fromEntries(kept.map(([name, one]) => [name, withoutTimes(one)]));
}

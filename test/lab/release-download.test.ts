// What is taken from a release server, and what is refused.
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { downloadRelease, type ReleaseSources } from "../../lab/control-plane/release-download.ts";
import { BINARIES, type BinaryName } from "../../lab/control-plane/versions.ts";
import { recordProgress } from "./recorded-progress.ts";
import { startReleaseServer } from "./release-server.ts";
import { scratchFolder } from "./scratch-folder.ts";

async function download(sources: ReleaseSources, names: readonly BinaryName[] = BINARIES) {
  const directory = scratchFolder();
  const progress = recordProgress();
  const failures = await downloadRelease({
    names,
    directory,
    progress,
    sources,
    platform: "linux",
    architecture: "x64",
  });
  return { directory, progress, failures, files: readdirSync(directory).sort() };
}

describe("the download of an official release", () => {
  it("brings every binary, verified and executable, and shows how many bytes have come", async () => {
    const server = await startReleaseServer();
    const { directory, failures, files, progress } = await download(server.sources);
    expect(failures).toEqual([]);
    expect(files).toEqual([...BINARIES].sort());
    for (const name of BINARIES) {
      expect(execFileSync(join(directory, name), { encoding: "utf8" })).toBe(`${name}\n`);
    }
    const last = progress.shown.findLast(({ what }) => what.startsWith("downloading kubectl"));
    expect(last?.measure).toEqual({ done: 23, total: 23, unit: "bytes" });
  });

  it("refuses a binary whose checksum differs and leaves nothing of it behind", async () => {
    const server = await startReleaseServer();
    server.files.set("/kubernetes/linux/amd64/kube-apiserver", "something else");
    const { failures, files } = await download(server.sources);
    expect(failures).toEqual([
      {
        name: "kube-apiserver",
        reason: expect.stringMatching(
          /kube-apiserver has SHA-256 [0-9a-f]{64}, the release says [0-9a-f]{64}: refused/,
        ),
      },
    ]);
    expect(files).toEqual(BINARIES.filter((name) => name !== "kube-apiserver").sort());
  });

  it("refuses an archive whose checksum differs before it unpacks it", async () => {
    const server = await startReleaseServer();
    const archive = [...server.files.keys()].find((path) => path.endsWith(".tar.gz")) ?? "";
    server.files.set(archive, "not an archive");
    const { failures, files } = await download(server.sources, ["etcd"]);
    expect(failures[0]?.reason).toContain("refused");
    expect(files).toEqual([]);
  });

  it("keeps nothing of a download that breaks off half-way", async () => {
    const server = await startReleaseServer();
    server.files.set("/kubernetes/linux/amd64/kubectl", (response) => {
      response.writeHead(200, { "content-length": 1_000 });
      response.write("half", () => response.destroy());
    });
    const { failures, files } = await download(server.sources, ["kubectl"]);
    expect(failures.map(({ name }) => name)).toEqual(["kubectl"]);
    expect(files).toEqual([]);
  });

  it("does not ask for a binary whose checksum it could not get", async () => {
    const server = await startReleaseServer();
    server.files.delete("/kubernetes/linux/amd64/kubectl.sha256");
    const { failures } = await download(server.sources, ["kubectl"]);
    expect(failures[0]?.reason).toMatch(/kubectl\.sha256 answered 404$/);
    expect(server.asked).toEqual(["/kubernetes/linux/amd64/kubectl.sha256"]);
  });

  it("takes a captive portal's page for what it is", async () => {
    const server = await startReleaseServer();
    server.files.set("/kubernetes/linux/amd64/kubectl.sha256", "<html>Please log in</html>");
    const { failures } = await download(server.sources, ["kubectl"]);
    expect(failures[0]?.reason).toContain("holds no SHA-256 for kubectl");
  });

  it("gives up at once where nobody listens, and says so", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await new Promise((resolve) => server.close(resolve));
    const startedMs = performance.now();
    const { failures, files } = await download({ kubernetes: base, etcd: base });
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    expect(failures.map(({ name }) => name)).toEqual(BINARIES);
    expect(new Set(failures.map(({ reason }) => reason)).size).toBe(1);
    expect(failures[0]?.reason).toMatch(/^127\.0\.0\.1:\d+ could not be reached: .*ECONNREFUSED/);
    expect(files).toEqual([]);
  });

  it("does not try where no server binaries are released", async () => {
    const failures = await downloadRelease({
      names: ["kubectl"],
      directory: scratchFolder(),
      progress: recordProgress(),
      sources: { kubernetes: "http://127.0.0.1:1", etcd: "http://127.0.0.1:1" },
      platform: "darwin",
      architecture: "arm64",
    });
    expect(failures).toEqual([
      { name: "kubectl", reason: "kube-apiserver is not released for darwin on arm64" },
    ]);
  });
});

// A loopback stand-in for dl.k8s.io and the etcd releases on GitHub.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { ReleaseSources } from "../../lab/control-plane/release-download.ts";
import { BINARIES, ETCD_VERSION } from "../../lab/control-plane/versions.ts";
import { scratchFolder } from "./scratch-folder.ts";

type Answer = Buffer | string | ((response: ServerResponse) => void);

export interface ReleaseServer {
  readonly sources: ReleaseSources;
  /** What is served, by path; a test may replace or delete entries. */
  readonly files: Map<string, Answer>;
  /** Every path asked for, in order. */
  readonly asked: string[];
}

/** Serves a whole and honest release for linux/amd64, until the test is over. */
export async function startReleaseServer(): Promise<ReleaseServer> {
  const files = new Map<string, Answer>();
  const asked: string[] = [];
  for (const name of BINARIES) {
    if (name === "etcd") continue;
    const content = Buffer.from(`#!/bin/sh\necho ${name}\n`);
    files.set(`/kubernetes/linux/amd64/${name}`, content);
    files.set(`/kubernetes/linux/amd64/${name}.sha256`, sha256(content));
  }
  const archive = etcdArchive();
  const folder = `etcd-${ETCD_VERSION}-linux-amd64`;
  files.set(`/etcd/${folder}.tar.gz`, archive);
  files.set("/etcd/SHA256SUMS", `${"0".repeat(64)}  other.zip\n${sha256(archive)}  ${folder}.tar.gz\n`);

  const server = createServer((request, response) => {
    const path = request.url ?? "";
    asked.push(path);
    const answer = files.get(path);
    if (typeof answer === "function") answer(response);
    else if (answer === undefined) response.writeHead(404).end("no such release");
    else response.writeHead(200, { "content-length": Buffer.byteLength(answer) }).end(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { sources: { kubernetes: `${base}/kubernetes`, etcd: `${base}/etcd` }, files, asked };
}

function sha256(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

function etcdArchive(): Buffer {
  const directory = scratchFolder();
  const folder = `etcd-${ETCD_VERSION}-linux-amd64`;
  mkdirSync(join(directory, folder));
  writeFileSync(join(directory, folder, "README.md"), "etcd");
  writeFileSync(join(directory, folder, "etcd"), "#!/bin/sh\necho etcd\n");
  execFileSync("tar", ["-czf", join(directory, "etcd.tar.gz"), "-C", directory, folder]);
  return readFileSync(join(directory, "etcd.tar.gz"));
}

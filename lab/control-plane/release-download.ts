// Downloads the official Kubernetes and etcd binaries. One try, short deadlines, nothing kept that its checksum does
// not vouch for. A failure is an answer here, since another source is asked then.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { chmod, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { EnvHttpProxyAgent, fetch, type Response } from "undici";
import type { Progress } from "../terminal/progress.ts";
import { type BinaryName, ETCD_VERSION, KUBERNETES_VERSION } from "./versions.ts";

/** Base addresses of the releases; tests name a loopback server. */
export interface ReleaseSources {
  readonly kubernetes: string;
  readonly etcd: string;
}

/** Where the Kubernetes and etcd projects publish their binaries. */
export const OFFICIAL_RELEASES: ReleaseSources = {
  kubernetes: `https://dl.k8s.io/release/${KUBERNETES_VERSION}/bin`,
  etcd: `https://github.com/etcd-io/etcd/releases/download/${ETCD_VERSION}`,
};

export interface DownloadOptions {
  readonly names: readonly BinaryName[];
  /** Where verified binaries are put; a file appears there under its name only when it is whole. */
  readonly directory: string;
  readonly progress: Progress;
  readonly sources: ReleaseSources;
  /** Platform and processor in Node's words. */
  readonly platform: string;
  readonly architecture: string;
}

/** A binary that was not downloaded, and why, in words for a person. */
export interface DownloadFailure {
  readonly name: BinaryName;
  readonly reason: string;
}

/** One file of a release. */
interface Parcel {
  readonly name: BinaryName;
  readonly url: string;
  readonly checksumUrl: string;
  /** Path of the binary inside the file, where that is a tar archive. */
  readonly archiveMember?: string;
}

type Attempt<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: DownloadFailure };

const CONNECT_DEADLINE_MS = 5_000;
/** From the first byte asked for to the last one received, for the small checksum files. */
const CHECKSUM_DEADLINE_MS = 10_000;
/** A download may take long, but not stand still for longer than this. */
const STALL_DEADLINE_MS = 15_000;
const MAX_DOWNLOAD_BYTES = 512 * 1024 * 1024;
const TAR_DEADLINE_MS = 60_000;
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** Downloads `names` into `directory` and answers which of them could not be had. */
export async function downloadRelease(options: DownloadOptions): Promise<readonly DownloadFailure[]> {
  const architecture = ARCHITECTURES[options.architecture];
  if (options.platform !== "linux" || architecture === undefined) {
    const reason = `kube-apiserver is not released for ${options.platform} on ${options.architecture}`;
    return options.names.map((name) => ({ name, reason }));
  }
  const agent = createAgent();
  try {
    options.progress.show("asking for the official releases");
    const parcels = options.names.map((name) => parcelOf(name, options.sources, architecture));
    // All at once: an unreachable host then costs one connect deadline, not one for each file.
    const checksums = await Promise.all(
      parcels.map((parcel) => attempt(parcel.name, () => readChecksum(agent, parcel))),
    );
    const failures: DownloadFailure[] = [];
    for (const [index, parcel] of parcels.entries()) {
      const checksum = checksums[index];
      if (!checksum) continue;
      const result = checksum.ok
        ? await attempt(parcel.name, () => fetchParcel(agent, parcel, checksum.value, options))
        : checksum;
      if (!result.ok) failures.push(result.failure);
    }
    return failures;
  } finally {
    await agent.destroy();
  }
}

function createAgent(): EnvHttpProxyAgent {
  const { NO_PROXY: upper, no_proxy: lower } = process.env;
  return new EnvHttpProxyAgent({
    connect: { timeout: CONNECT_DEADLINE_MS },
    proxyTls: { timeout: CONNECT_DEADLINE_MS },
    requestTls: { timeout: CONNECT_DEADLINE_MS },
    headersTimeout: STALL_DEADLINE_MS,
    bodyTimeout: STALL_DEADLINE_MS,
    noProxy: ["127.0.0.1", "localhost", lower ?? upper ?? ""].filter(Boolean).join(","),
  });
}

function parcelOf(name: BinaryName, sources: ReleaseSources, architecture: string): Parcel {
  if (name !== "etcd") {
    const url = `${sources.kubernetes}/linux/${architecture}/${name}`;
    return { name, url, checksumUrl: `${url}.sha256` };
  }
  const folder = `etcd-${ETCD_VERSION}-linux-${architecture}`;
  return {
    name,
    url: `${sources.etcd}/${folder}.tar.gz`,
    checksumUrl: `${sources.etcd}/SHA256SUMS`,
    archiveMember: `${folder}/etcd`,
  };
}

async function attempt<T>(name: BinaryName, work: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    return { ok: false, failure: { name, reason: reasonOf(error) } };
  }
}

/** undici hides the interesting part of a failed fetch in its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  const code = (cause as NodeJS.ErrnoException).code;
  return code === undefined || cause.message.includes(code) ? cause.message : `${cause.message} (${code})`;
}

/** A checksum file is either one digest alone or lines of digest and file name. */
async function readChecksum(agent: EnvHttpProxyAgent, parcel: Parcel): Promise<string> {
  const signal = AbortSignal.timeout(CHECKSUM_DEADLINE_MS);
  const response = await open(agent, parcel.checksumUrl, signal);
  const file = parcel.url.slice(parcel.url.lastIndexOf("/") + 1);
  for (const line of (await response.text()).split("\n")) {
    const [digest = "", name] = line.trim().split(/\s+\*?/);
    if (/^[0-9a-f]{64}$/.test(digest) && (name === undefined || name === file)) return digest;
  }
  throw new Error(`${parcel.checksumUrl} holds no SHA-256 for ${file}`);
}

async function fetchParcel(
  agent: EnvHttpProxyAgent,
  parcel: Parcel,
  checksum: string,
  options: DownloadOptions,
): Promise<void> {
  const partial = join(options.directory, `${parcel.name}.partial`);
  try {
    const response = await open(agent, parcel.url);
    const digest = await save(response, partial, (done, total) =>
      options.progress.show(`downloading ${parcel.name} from ${new URL(parcel.url).host}`, {
        done,
        unit: "bytes",
        ...(total === undefined ? {} : { total }),
      }),
    );
    if (digest !== checksum) {
      throw new Error(`${parcel.url} has SHA-256 ${digest}, the release says ${checksum}: refused`);
    }
    if (parcel.archiveMember !== undefined) await unpack(partial, parcel.archiveMember);
    await chmod(partial, 0o755);
    await rename(partial, join(options.directory, parcel.name));
  } finally {
    await rm(partial, { force: true });
  }
}

async function open(agent: EnvHttpProxyAgent, url: string, signal?: AbortSignal): Promise<Response> {
  const response = await fetch(url, {
    dispatcher: agent,
    // Compression on the way would make the length, and so the progress, wrong.
    headers: { "accept-encoding": "identity" },
    ...(signal === undefined ? {} : { signal }),
  }).catch((error: unknown) => {
    throw new Error(`${new URL(url).host} could not be reached: ${reasonOf(error)}`);
  });
  if (response.status === 200) return response;
  await response.body?.cancel();
  throw new Error(`${url} answered ${response.status}`);
}

async function save(
  response: Response,
  path: string,
  onBytes: (done: number, total: number | undefined) => void,
): Promise<string> {
  if (!response.body) throw new Error(`${response.url} has no content`);
  const length = Number(response.headers.get("content-length") ?? Number.NaN);
  const total = Number.isFinite(length) ? length : undefined;
  const hash = createHash("sha256");
  let done = 0;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, pass) {
      hash.update(chunk);
      done += chunk.length;
      onBytes(done, total);
      if (done > MAX_DOWNLOAD_BYTES)
        pass(new Error(`${response.url} is larger than ${MAX_DOWNLOAD_BYTES} bytes`));
      else pass(null, chunk);
    },
  });
  await pipeline(Readable.fromWeb(response.body), meter, createWriteStream(path));
  return hash.digest("hex");
}

/** Puts the member of the archive in the archive's place. */
async function unpack(archive: string, member: string): Promise<void> {
  const { stdout } = await promisify(execFile)("tar", ["-xzOf", archive, member], {
    encoding: "buffer",
    maxBuffer: MAX_DOWNLOAD_BYTES,
    timeout: TAR_DEADLINE_MS,
  });
  await writeFile(archive, stdout);
}

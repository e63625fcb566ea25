// An unmodified third party to fence against: sushy-tools' Redfish emulator with its fake driver, from PyPI.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { createCertificateAuthority } from "../../lab/control-plane/certificate-authority.ts";
import { findFreePort } from "../../lab/control-plane/free-port.ts";
import { startOrphanGuard } from "../../lab/control-plane/orphan-guard.ts";

const SUSHY_TOOLS = "sushy-tools==2.2.0";
const INSTALL_DEADLINE_MS = 240_000;
const READY_DEADLINE_MS = 30_000;
const run = promisify(execFile);

export type Installed =
  | { readonly ok: true; readonly python: string }
  | { readonly ok: false; readonly reason: string };

/** Installs the emulator into the user's cache folder, once; says what it does, and why where it cannot. */
export async function installSushy(say: (line: string) => void): Promise<Installed> {
  const base = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  const directory = join(base, "holdfast", "sushy", SUSHY_TOOLS.replace("==", "-"));
  const python = join(directory, "bin", "python");
  const complete = join(directory, "complete");
  if (existsSync(complete)) return { ok: true, python };
  const startedMs = performance.now();
  try {
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true });
    say(`installing ${SUSHY_TOOLS} into ${directory} (about 10 s, once): making a Python environment`);
    await runSaying(["python3", "-m", "venv", directory], say);
    await runSaying([python, "-m", "pip", "install", "--disable-pip-version-check", SUSHY_TOOLS], say);
    await writeFile(complete, "");
    say(`installed in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
    return { ok: true, python };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

async function runSaying(
  command: readonly [string, ...string[]],
  say: (line: string) => void,
): Promise<void> {
  const [program, ...args] = command;
  const child = spawn(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    signal: AbortSignal.timeout(INSTALL_DEADLINE_MS),
  });
  const last: string[] = [];
  const hear = (line: string): void => {
    if (/^(Collecting|Installing|Successfully|ERROR)/.test(line)) say(`  ${line.slice(0, 140)}`);
    // pip says where it looks before it fails; only what went wrong is worth a skip's reason.
    if (!line.startsWith("Looking in")) last.push(line);
    if (last.length > 3) last.shift();
  };
  for (const stream of [child.stdout, child.stderr]) createInterface(stream).on("line", hear);
  await new Promise<void>((resolve, reject) => {
    child.once("error", (error) => reject(new Error(`${program} could not be run: ${error.message}`)));
    child.once("close", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${args.slice(0, 3).join(" ")} ended with ${code}: ${last.join(" | ")}`));
    });
  });
}

export interface SushySystem {
  readonly uuid: string;
  readonly name: string;
}

export interface SushyEmulator {
  readonly address: string;
  readonly username: string;
  readonly password: string;
  readonly caPem: string;
  readonly systems: readonly SushySystem[];
  /** Stops the process in its tracks (SIGSTOP), and lets it go on. */
  freeze(): void;
  thaw(): void;
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts the emulator over TLS with Basic authentication. `settings` are lines of its own Python configuration. */
export async function startSushy(
  python: string,
  options: { readonly systems: number; readonly settings?: readonly string[] },
): Promise<SushyEmulator> {
  const directory = await mkdtemp(join(tmpdir(), "holdfast-sushy-"));
  const guard = startOrphanGuard({ removeDirectory: directory });
  const authority = createCertificateAuthority("Holdfast test BMC CA");
  const certificate = authority.issue({ commonName: "sushy", hosts: ["127.0.0.1"], usages: ["serverAuth"] });
  const [username, password] = ["fence-operator", "s3cret-sushy"];
  const systems = Array.from({ length: options.systems }, (_, index) => ({
    uuid: `00000000-0000-4000-8000-${String(index + 1).padStart(12, "0")}`,
    name: `node-${index + 1}`,
  }));
  const port = await findFreePort();
  await writeFile(join(directory, "tls.crt"), certificate.certPem);
  await writeFile(join(directory, "tls.key"), certificate.keyPem);
  await writeFile(join(directory, "htpasswd"), `${username}:${await bcrypt(python, password)}\n`);
  await writeFile(
    join(directory, "sushy.conf"),
    configuration({ directory, port, systems, more: options.settings }),
  );
  const child = spawn(
    python,
    ["-m", "sushy_tools.emulator.main", "--config", join(directory, "sushy.conf")],
    {
      stdio: ["ignore", "ignore", "ignore"],
      cwd: directory,
    },
  );
  if (child.pid !== undefined) guard.watch(child.pid);
  const address = `https://127.0.0.1:${port}`;
  await untilServing(address, child);
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => {
      child.once("exit", resolve);
    });
    child.kill("SIGKILL");
    await ended;
    if (child.pid !== undefined) guard.forget(child.pid);
  };
  return {
    address,
    username,
    password,
    caPem: authority.certPem,
    systems,
    freeze: () => void child.kill("SIGSTOP"),
    thaw: () => void child.kill("SIGCONT"),
    kill,
    stop: async () => {
      await kill();
      await guard.release();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The emulator knows bcrypt only, and checks it on every request: the cheapest cost keeps that out of the timings. */
async function bcrypt(python: string, password: string): Promise<string> {
  const script = "import bcrypt, sys; print(bcrypt.hashpw(sys.argv[1].encode(), bcrypt.gensalt(4)).decode())";
  const { stdout } = await run(python, ["-c", script, password], { timeout: READY_DEADLINE_MS });
  return stdout.trim();
}

function configuration(parts: {
  readonly directory: string;
  readonly port: number;
  readonly systems: readonly SushySystem[];
  readonly more: readonly string[] | undefined;
}): string {
  const systems = parts.systems.map(({ uuid, name }) => ({
    uuid,
    name,
    power_state: "On",
    nics: [{ mac: "52:54:00:00:00:01", ip: "127.0.0.1" }],
  }));
  const path = (name: string) => JSON.stringify(join(parts.directory, name));
  return [
    "SUSHY_EMULATOR_FAKE_DRIVER = True",
    "SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'",
    `SUSHY_EMULATOR_LISTEN_PORT = ${parts.port}`,
    `SUSHY_EMULATOR_SSL_CERT = ${path("tls.crt")}`,
    `SUSHY_EMULATOR_SSL_KEY = ${path("tls.key")}`,
    `SUSHY_EMULATOR_AUTH_FILE = ${path("htpasswd")}`,
    `SUSHY_EMULATOR_STATE_DIR = ${path("state")}`,
    "SUSHY_EMULATOR_FEATURE_SET = 'minimum'",
    `SUSHY_EMULATOR_FAKE_SYSTEMS = ${JSON.stringify(systems)}`,
    ...(parts.more ?? []),
    "",
  ].join("\n");
}

async function untilServing(address: string, child: ChildProcess): Promise<void> {
  const { Agent, request } = await import("undici");
  const agent = new Agent({ connect: { rejectUnauthorized: false } });
  const untilMs = performance.now() + READY_DEADLINE_MS;
  try {
    while (performance.now() < untilMs) {
      if (child.exitCode !== null) throw new Error(`the emulator ended with ${child.exitCode}`);
      const status = await request(`${address}/redfish/v1/`, { dispatcher: agent }).then(
        (response) => response.statusCode,
        () => undefined,
      );
      if (status === 200) return;
      await new Promise((resolve) => {
        setTimeout(resolve, 100);
      });
    }
    throw new Error(`the emulator does not serve within ${READY_DEADLINE_MS} ms`);
  } finally {
    await agent.destroy();
  }
}

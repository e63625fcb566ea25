// OpenIPMI's BMC simulator, whose power switch kills and starts a real process.
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createSocket } from "node:dgram";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startOrphanGuard } from "../../lab/control-plane/orphan-guard.ts";
import { isRunning } from "../lab/running-process.ts";

const READY_DEADLINE_MS = 20_000;

// What the simulator runs to read and switch its chassis: `get power`, `set power 0|1`, `check power 0|1`.
const CHASSIS = `#!/bin/sh
here=__FOLDER__
alive() { pid=$(cat "$here/pid"); s=$(ps -o stat= -p "$pid" 2>/dev/null); [ -n "$s" ] && [ "\${s#Z}" = "$s" ]; }
start() { sleep 86400 </dev/null >/dev/null 2>&1 & echo $! >"$here/pid"; }
op=
while [ $# -gt 0 ]; do
  case $1 in
    get|set|check) op=$1 ;;
    power)
      if [ "$op" = get ]; then if alive; then echo power:1; else echo power:0; fi
      else
        shift
        if [ "$op" = set ] && [ ! -e "$here/stuck" ]; then
          if [ "$1" = 0 ]; then
            [ -e "$here/slow" ] && sleep "$(cat "$here/slow")"
            kill -9 "$(cat "$here/pid")" 2>/dev/null
          else alive || start; fi
        fi
      fi ;;
    boot) if [ "$op" = get ]; then echo boot:default; else shift; fi ;;
    reset) shift ;;
  esac
  shift
done
`;

const EMULATION = `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
`;

export class IpmiSim {
  readonly username = "admin";
  readonly password = "s3cret-ipmi";
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast-ipmi-"));
  readonly #guard = startOrphanGuard({ removeDirectory: this.directory });
  port = 0;
  #simulator: ChildProcess | undefined;

  static async start(): Promise<IpmiSim> {
    const sim = new IpmiSim();
    sim.port = await freeUdpPort();
    sim.#write("chassis.sh", CHASSIS.replace("__FOLDER__", `'${sim.directory}'`));
    chmodSync(join(sim.directory, "chassis.sh"), 0o755);
    sim.#write("sim.emu", EMULATION);
    sim.#write("lan.conf", sim.#configuration());
    await sim.set("On");
    await sim.run();
    return sim;
  }

  get pid(): number {
    const file = join(this.directory, "pid");
    return existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  }

  read(): "On" | "Off" {
    return this.pid > 0 && isRunning(this.pid) ? "On" : "Off";
  }

  async set(state: "On" | "Off"): Promise<void> {
    if (this.read() === state) return;
    if (state === "Off") {
      process.kill(this.pid, "SIGKILL");
      return;
    }
    const victim = spawn("sleep", ["86400"], { stdio: "ignore", detached: true });
    victim.unref();
    this.#write("pid", `${victim.pid ?? 0}\n`);
  }

  /** `stuck`: acknowledges and does nothing. `slow`: takes so many seconds to cut. */
  trouble(name: "stuck" | "slow", seconds = 0): void {
    this.#write(name, String(seconds));
  }

  heal(): void {
    for (const name of ["stuck", "slow"]) rmSync(join(this.directory, name), { force: true });
    this.#simulator?.kill("SIGCONT");
  }

  freeze(): void {
    this.#simulator?.kill("SIGSTOP");
  }

  /** Starts the simulator; does nothing where it runs. */
  async run(): Promise<void> {
    if (this.#simulator !== undefined) return;
    const args = ["-n", "-c", this.#path("lan.conf"), "-f", this.#path("sim.emu"), "-s", this.#path("state")];
    const simulator = spawn("/usr/bin/ipmi_sim", args, { stdio: "ignore", cwd: this.directory });
    if (simulator.pid !== undefined) this.#guard.watch(simulator.pid);
    this.#simulator = simulator;
    await this.#untilReady();
  }

  /** Ends the simulator; the machine behind it goes on. */
  async halt(): Promise<void> {
    const simulator = this.#simulator;
    this.#simulator = undefined;
    if (simulator === undefined || simulator.exitCode !== null || simulator.signalCode !== null) return;
    const ended = new Promise((resolve) => {
      simulator.once("exit", resolve);
    });
    simulator.kill("SIGCONT");
    simulator.kill("SIGKILL");
    await ended;
    if (simulator.pid !== undefined) this.#guard.forget(simulator.pid);
  }

  async stop(): Promise<void> {
    await this.halt();
    await this.set("Off");
    await this.#guard.release();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #untilReady(): Promise<void> {
    const untilMs = performance.now() + READY_DEADLINE_MS;
    while (performance.now() < untilMs) {
      if (await answersPing(this.port)) return;
    }
    throw new Error(`ipmi_sim does not answer on port ${this.port} within ${READY_DEADLINE_MS} ms`);
  }

  #configuration(): string {
    const levels = ["callback", "user", "operator", "admin"];
    return [
      'name "node-1"',
      "set_working_mc 0x20",
      "  startlan 1",
      `    addr 127.0.0.1 ${this.port}`,
      "    priv_limit admin",
      ...levels.map((level) => `    allowed_auths_${level} md5`),
      "    guid a123456789abcdefa123456789000001",
      "  endlan",
      `  user 2 true "${this.username}" "${this.password}" admin 10 md5`,
      `  chassis_control "${this.#path("chassis.sh")} node-1"`,
      "",
    ].join("\n");
  }

  #path(name: string): string {
    return join(this.directory, name);
  }

  #write(name: string, text: string): void {
    writeFileSync(this.#path(name), text);
  }
}

/** RMCP's presence ping, which every BMC answers. */
async function answersPing(port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  const ping = Buffer.from([6, 0, 255, 6, 0, 0, 0x11, 0xbe, 0x80, 0, 0, 0]);
  try {
    return await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), 200);
      socket.once("message", () => {
        clearTimeout(timer);
        resolve(true);
      });
      socket.once("error", () => resolve(false));
      socket.send(ping, port, "127.0.0.1");
    });
  } finally {
    socket.close();
  }
}

async function freeUdpPort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => {
    socket.bind(0, "127.0.0.1", resolve);
  });
  const { port } = socket.address();
  await new Promise<void>((resolve) => {
    socket.close(() => resolve());
  });
  return port;
}

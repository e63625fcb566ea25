// The other end of prober.ts: starts probes of one VM there, and asks what they have come to.
import { fork } from "node:child_process";
import { once } from "node:events";
import { type MeasuredRun, measuredRun } from "../src/model/drill-statistics.ts";
import type { ProbeFacts, ServiceProbe } from "../src/model/service-probe.ts";
import type { ProbeOrder, ProbeReport } from "./prober.ts";

/** One run as each probe saw it, in their order. */
export interface Sight {
  readonly facts: ProbeFacts;
  readonly run: MeasuredRun;
}

/** Orders are answered one after the other: await each before the next. */
export class ProberProcess {
  readonly #child = fork(new URL("prober.ts", import.meta.url), { serialization: "advanced" });

  /** Where the VM is from now on. */
  follow(address: string | undefined): void {
    this.#tell({ kind: "address", address });
  }

  start(probes: readonly ServiceProbe[]): void {
    this.#tell({ kind: "start", probes });
  }

  /** `disturbedAtWallMs`: when it happened, by `performance.timeOrigin + performance.now()`. */
  look(disturbedAtWallMs: number): Promise<readonly Sight[]> {
    return this.#ask({ kind: "facts" }, disturbedAtWallMs);
  }

  stop(disturbedAtWallMs: number): Promise<readonly Sight[]> {
    return this.#ask({ kind: "stop" }, disturbedAtWallMs);
  }

  async close(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.disconnect();
    await ended;
  }

  #tell(order: ProbeOrder): void {
    this.#child.send(order);
  }

  async #ask(order: ProbeOrder, disturbedAtWallMs: number): Promise<readonly Sight[]> {
    const answer = once(this.#child, "message");
    this.#tell(order);
    const [{ all }] = (await answer) as [ProbeReport];
    return all.map(({ facts, startedAtWallMs }) => ({
      facts,
      run: measuredRun(facts, disturbedAtWallMs - startedAtWallMs),
    }));
  }
}

// A probe without sockets: asks in virtual time, and is answered as the test says.
import type { Cancel, Clock } from "../../src/model/clock.ts";
import { ProbeTrace } from "../../src/model/probe-trace.ts";
import { ANSWER_WITHIN_MS, periodMsOf, type StartServiceProbe } from "../../src/model/service-probe.ts";

/** `latencyMs` says after how long an address answers now; undefined or later than `ANSWER_WITHIN_MS` is lost. */
export function scriptedServiceProbe(options: {
  readonly clock: Clock;
  readonly latencyMs: (address: string) => number | undefined;
}): StartServiceProbe {
  const { clock, latencyMs } = options;
  return ({ probe, address }) => {
    const startedAtMs = clock.now().monotonicMs;
    const trace = new ProbeTrace(probe, startedAtMs);
    const sinceMs = (): number => clock.now().monotonicMs - startedAtMs;
    let timer: Cancel = () => {};
    const ask = (): void => {
      const to = address();
      const latency = to === undefined ? undefined : latencyMs(to);
      const inTime = latency !== undefined && latency <= ANSWER_WITHIN_MS;
      trace.add({ sentAtMs: sinceMs(), latencyMs: inTime ? latency : undefined });
      timer = clock.schedule(periodMsOf(probe), ask);
    };
    ask();
    return {
      facts: () => trace.facts(sinceMs()),
      finished: new Promise(() => {}),
      stop: () => {
        timer();
        return Promise.resolve(trace.facts(sinceMs()));
      },
    };
  };
}

// Histories that once broke a promise, each with what it was. Every test run tells them again; none is ever taken out. Their
// plans are kept beside them, since what a seed draws changes with every fault that draw.ts learns.
import type { WorldPlan } from "../world/world-plan.ts";
import { drawn } from "./draw.ts";
import plan3 from "./failed-plans/3.json" with { type: "json" };
import plan1116 from "./failed-plans/1116.json" with { type: "json" };
import plan20026 from "./failed-plans/20026.json" with { type: "json" };
import plan30280 from "./failed-plans/30280.json" with { type: "json" };
import plan765455527 from "./failed-plans/765455527.json" with { type: "json" };
import plan2026112768 from "./failed-plans/2026112768.json" with { type: "json" };
import plan2026116181 from "./failed-plans/2026116181.json" with { type: "json" };
import plan2026116823 from "./failed-plans/2026116823.json" with { type: "json" };
import plan3100000439 from "./failed-plans/3100000439.json" with { type: "json" };
import plan3100001633 from "./failed-plans/3100001633.json" with { type: "json" };
import plan3100002040 from "./failed-plans/3100002040.json" with { type: "json" };
import plan1700000955 from "./failed-plans/1700000955.json" with { type: "json" };
import plan1700001491 from "./failed-plans/1700001491.json" with { type: "json" };
import plan1700002032 from "./failed-plans/1700002032.json" with { type: "json" };
import plan619 from "./failed-plans/619.json" with { type: "json" };
import plan6000001226 from "./failed-plans/6000001226.json" with { type: "json" };
import plan6100000643 from "./failed-plans/6100000643.json" with { type: "json" };
import plan7000000509 from "./failed-plans/7000000509.json" with { type: "json" };
import plan7000000904 from "./failed-plans/7000000904.json" with { type: "json" };
import plan7000005702 from "./failed-plans/7000005702.json" with { type: "json" };
import plan9100004022 from "./failed-plans/9100004022.json" with { type: "json" };
import plan9200009626 from "./failed-plans/9200009626.json" with { type: "json" };
import plan9200007646 from "./failed-plans/9200007646.json" with { type: "json" };

export interface FailedSeed {
  readonly seed: number;
  /** As it was drawn when it failed. */
  readonly plan: WorldPlan;
  /** What was wrong, in the code under test or in the simulation itself. */
  readonly was: string;
}

export const FAILED_SEEDS: readonly FailedSeed[] = [
  {
    seed: 3,
    plan: plan3 as WorldPlan,
    was: "a healthy node was shot after an outage of the API server of 6.7 s, from which its kubelet came back 6 s later",
  },
  {
    seed: 1116,
    plan: plan1116 as WorldPlan,
    was: "the simulated kubelet, killed and started again, never told that it had given a volume back",
  },
  {
    seed: 20026,
    plan: plan20026 as WorldPlan,
    was: "a gap in contact, measured in fractions of a millisecond, made every later status of its VMs invalid",
  },
  {
    seed: 30280,
    plan: plan30280 as WorldPlan,
    was: "two refusals of writes that overlapped in the simulation, one of which was never taken back",
  },
  {
    seed: 765455527,
    plan: plan765455527 as WorldPlan,
    was: "a VM that was starting on a node that died counted as lost, and for ever, when the node started it after its reboot",
  },
  {
    seed: 2026112768,
    plan: plan2026112768 as WorldPlan,
    was: "a request's NetworkFence was refused for ever, since the clock of whoever asked was behind the record's",
  },
  {
    seed: 2026116181,
    plan: plan2026116181 as WorldPlan,
    was: "an isolated node was fenced after a change of leaders: its host, whose kubelet was dead, only refused, and nobody knew it any more",
  },
  {
    seed: 2026116823,
    plan: plan2026116823 as WorldPlan,
    was: "the simulated kubelet overwrote a pod that it had just been told of with an older answer, so that the pod never became Ready again",
  },
  {
    seed: 3100000439,
    plan: plan3100000439 as WorldPlan,
    was: "two nodes lost within milliseconds were shot at once, whatever the limit: the second turn saw a ledger whose attempt was still on its way",
  },
  {
    seed: 3100001633,
    plan: plan3100001633 as WorldPlan,
    was: "an administrator cordoned one of two silent nodes in mid-storm, which then counted no more, and both were shot",
  },
  {
    seed: 3100002040,
    plan: plan3100002040 as WorldPlan,
    was: "a guest that had migrated off an isolated node was called Available while its failover stood",
  },
  {
    seed: 1700000955,
    plan: plan1700000955 as WorldPlan,
    was: "a full API server refused everybody's Leases; who came to lead it took its own first refusal for the beginning, and shot the one node left",
  },
  {
    seed: 1700001491,
    plan: plan1700001491 as WorldPlan,
    was: "a failover stood for ever, whose instance had begun in the node's next life before we heard of that",
  },
  {
    seed: 1700002032,
    plan: plan1700002032 as WorldPlan,
    was: "a late node was shot on request among four late ones, none of which was lost yet",
  },
  {
    seed: 619,
    plan: plan619 as WorldPlan,
    was: "a second node was shot while the shot at another, heard again a moment ago, was still under way, whatever the limit",
  },
  {
    seed: 6000001226,
    plan: plan6000001226 as WorldPlan,
    was: "the storage addresses of a node were refused for ever, since the clock of who recorded them was ahead of who found it lost",
  },
  {
    seed: 6100000643,
    plan: plan6100000643 as WorldPlan,
    was: "an isolated node was fenced by a replica that, cut off for a while, had learned of its Lease and of a later heartbeat at once",
  },
  {
    seed: 7000000509,
    plan: plan7000000509 as WorldPlan,
    was: "the failover of a VM stood for ever, whose instance somebody had deleted, for which KubeVirt does not start it",
  },
  {
    seed: 7000000904,
    plan: plan7000000904 as WorldPlan,
    was: "a simulated source that hung switched its migration, once it went on, to a target that had lost its power meanwhile",
  },
  {
    seed: 7000005702,
    plan: plan7000005702 as WorldPlan,
    was: "a broken node, alone and without protected VMs, made a storm of every later loss, and held up even what was asked for",
  },
  {
    seed: 9100004022,
    plan: plan9100004022 as WorldPlan,
    was: "a node was shot two seconds after somebody had deleted the ledger that told of it",
  },
  {
    seed: 9200009626,
    plan: plan9200009626 as WorldPlan,
    was: "a replica that lost its leadership and led again at once had forgotten the probes, and fenced a node whose host answered",
  },
  {
    seed: 9200007646,
    plan: plan9200007646 as WorldPlan,
    was: "nobody gave a node its storage back whose ledger was deleted, which is a person's to do (the simulation's fault)",
  },
];

/** What a seed stands for: its plan as it once failed, or as it is drawn today. */
export function planOfSeed(seed: number): WorldPlan {
  return FAILED_SEEDS.find((one) => one.seed === seed)?.plan ?? drawn(seed);
}

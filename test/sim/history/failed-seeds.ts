// Seeds that once broke a promise, each with what it was. Every test run tells them again; none is ever taken out.

export interface FailedSeed {
  readonly seed: number;
  /** What was wrong, in the code under test or in the simulation itself. */
  readonly was: string;
}

export const FAILED_SEEDS: readonly FailedSeed[] = [
  {
    seed: 1116,
    was: "the simulated kubelet, killed and started again, never told that it had given a volume back",
  },
  {
    seed: 20026,
    was: "a gap in contact, measured in fractions of a millisecond, made every later status of its VMs invalid",
  },
  {
    seed: 30280,
    was: "two refusals of writes that overlapped in the simulation, one of which was never taken back",
  },
  {
    seed: 765455527,
    was: "a VM that was starting on a node that died counted as lost, and for ever, when the node started it after its reboot",
  },
];

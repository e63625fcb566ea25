// The troubles of the contract as faults of lab BMCs, which befall all of a rig's BMCs at once.
import type { BmcFaults } from "../../lab/bmc/bmc-faults.ts";
import type { Bmc } from "../../lab/bmc/redfish-bmc.ts";
import type { ContractRig } from "./fence-device-contract.ts";

export function bmcTroubles(...bmcs: readonly Bmc[]) {
  const set = (change: Partial<BmcFaults>) => async () => {
    for (const bmc of bmcs) await bmc.faults.set(change);
  };
  return {
    silence: set({ silent: true }),
    absence: set({ down: true }),
    wrongPassword: set({ wrongPassword: true }),
    stuck: set({ ignore: true }),
    lostReply: set({ loseReply: true }),
    noReply: set({ noReply: true }),
    refusal: set({ refuse: true }),
    busy: set({ busy: true }),
    nonsense: set({ garbage: true }),
  } satisfies ContractRig["troubles"];
}

// The Redfish method against the lab BMC: the contract that all methods share, once per way to log in.
import { describeFenceDevice } from "./fence-device-contract.ts";
import { SECRETS, startRedfishRig } from "./fence-redfish-rig.ts";

for (const auth of ["Auto", "Basic"] as const) {
  describeFenceDevice(`Redfish, auth ${auth}`, async () => {
    const rig = await startRedfishRig({ access: { auth } });
    const set = (change: Parameters<typeof rig.bmc.faults.set>[0]) => () => rig.bmc.faults.set(change);
    return {
      device: rig.device,
      clock: rig.clock,
      machine: rig.machine,
      secrets: SECRETS,
      troubles: {
        silence: set({ silent: true }),
        absence: set({ down: true }),
        wrongPassword: set({ wrongPassword: true }),
        stuck: set({ ignore: true }),
        lostReply: set({ loseReply: true }),
        noReply: set({ noReply: true }),
        refusal: set({ refuse: true }),
        busy: set({ busy: true }),
        nonsense: set({ garbage: true }),
      },
      heal: () => rig.bmc.faults.clear(),
      heldResources: () => rig.bmc.sessionCount(),
      stop: rig.stop,
    };
  });
}

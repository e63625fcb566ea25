// Restarts that KubeVirt leaves to others: Manual VMs get a start call, Once VMs have their ended VMI deleted. Only after
// the lost VMI has ended by KubeVirt's own word.
import { isFinal } from "../model/virtual-machine.ts";
import { protectionOf, type Turn } from "./turn.ts";
import { restartLimit, willRestart } from "./release.ts";

/** Steps for VMs of a failover whose run strategy does not bring them back by itself. */
export function decideRestarts(turn: Turn): void {
  const { snapshot, plan } = turn;
  for (const key of snapshot.index.unsettled) {
    const protection = snapshot.protections.get(key);
    const record = protection?.status.failover;
    if (protection === undefined || record === undefined || !protection.failover.enabled) continue;
    if (protectionOf(snapshot, protection.vmKey) !== protection || !willRestart(turn, protection)) continue;
    if (restartLimit(turn, protection) !== undefined) continue;
    const vm = snapshot.vms.get(protection.vmKey);
    const vmi = snapshot.vmis.get(protection.vmKey);
    const ended = vmi?.uid === record.vmiUID && isFinal(vmi);
    if (vm?.runStrategy === "Manual" && (ended || vmi === undefined))
      plan.add({ kind: "StartVM", vmKey: vm.key });
    if (vm?.runStrategy === "Once" && ended && !vmi.deleting) {
      plan.add({ kind: "DeleteVMI", vmKey: vm.key, vmiUID: vmi.uid });
    }
  }
}

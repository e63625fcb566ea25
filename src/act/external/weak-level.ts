// Whether a level could only ever bring a proof that it does not accept. Pure.
import type { ExternalLevel } from "../../model/fencing.ts";
import { weakNameOf } from "../../model/proof.ts";
import { remediationKindOf } from "./remediation.ts";

/** Why nothing is begun by it, or undefined. */
export function whyUnaccepted(level: ExternalLevel): string | undefined {
  const weakName = weakNameOf(
    level.method === "NetworkFence"
      ? { type: "StorageFenced" }
      : { type: "Remediated", remediation: { kind: remediationKindOf(level.remediation.template.kind) } },
  );
  if (weakName === undefined || level.acceptWeakProof.includes(weakName)) return undefined;
  return `${weakName} does not prove that the guests have stopped, and acceptWeakProof of the level does not name it`;
}

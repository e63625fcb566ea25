// How the harmless check of one fencing level on one node ends.
import type { ReadinessReason } from "../../api/reasons.ts";

/**
 * What a check found. `off`: it read Off, which is only held against it once the
 * node is known to have lived on. `passing`: may well be gone at the next look.
 */
export interface CheckResult {
  readonly kind: "ready" | "off" | "passing" | "broken";
  readonly reason: ReadinessReason;
  readonly message: string;
  /** The device that read On or Off of the machine meant; undefined where none did. */
  readonly device: string | undefined;
}

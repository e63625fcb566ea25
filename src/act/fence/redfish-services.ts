// Remembers what Redfish services told about themselves, from a readiness check to a fencing in earnest.
import { createHash } from "node:crypto";
import type { Clock } from "../../model/clock.ts";
import type { RedfishAccess } from "./redfish-access.ts";
import { RedfishService } from "./redfish.ts";

/** Services remembered at most; the one longest unused is forgotten first. */
const MAX_SERVICES = 2_000;

/**
 * One service for each address and credentials. Guarantees: changed credentials, certificates or addresses, as they are
 * handed in each time, are another service, so nothing learned under a rotated password is used.
 */
export class RedfishServices {
  readonly #services = new Map<string, RedfishService>();

  of(access: RedfishAccess, clock: Clock): RedfishService {
    const key = keyOf(access);
    const service = this.#services.get(key) ?? new RedfishService(access, { clock });
    this.#services.delete(key);
    this.#services.set(key, service);
    const oldest = this.#services.size > MAX_SERVICES ? this.#services.keys().next() : undefined;
    if (oldest?.done === false) this.#services.delete(oldest.value);
    return service;
  }
}

/** A digest, so that no second copy of the password lies about as a map's key. */
function keyOf(access: RedfishAccess): string {
  const { address, systemPath, systemId, username, password, caPem, insecureSkipVerify, auth } = access;
  const parts = [address, systemPath, systemId, username, password, caPem, insecureSkipVerify, auth];
  return createHash("sha256")
    .update(JSON.stringify(parts.map((part) => part ?? null)))
    .digest("hex");
}

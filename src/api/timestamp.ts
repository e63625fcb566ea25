// Points in wall time as our objects spell them. For people and for reports; ages are never judged by them.
import { z } from "zod";

/** RFC 3339 in UTC. Months, days and hours are checked beside it: by `format` on the server, by zod here. */
const PATTERN = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z$/;

/**
 * A point in time. We write milliseconds, since an outage is measured in them; people and tools that write whole
 * seconds are understood too, for an object that the API server took and we cannot read would help nobody.
 */
export function timestamp() {
  return z.iso
    .datetime()
    .refine((value) => PATTERN.test(value), {
      message: "must be RFC 3339 in UTC, like 2026-11-22T10:30:00.000Z",
    })
    .meta({ pattern: PATTERN.source });
}

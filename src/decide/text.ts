// Small renderings shared by messages: times for statuses, durations for people, names that follow from their origin.

export { timestamp, wallMsOf } from "../model/wall-time.ts";

/** Whole seconds, as people say them: `22 s`. */
export function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}

/** Twelve hexadecimal digits that follow from `text` alone (cyrb53); for names, never for security. */
export function shortHash(text: string): string {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    high = Math.imul(high ^ code, 2_654_435_761);
    low = Math.imul(low ^ code, 1_597_334_677);
  }
  high = Math.imul(high ^ (high >>> 16), 2_246_822_507) ^ Math.imul(low ^ (low >>> 13), 3_266_489_909);
  low = Math.imul(low ^ (low >>> 16), 2_246_822_507) ^ Math.imul(high ^ (high >>> 13), 3_266_489_909);
  const value = 4_294_967_296 * (2_097_151 & low) + (high >>> 0);
  return value.toString(16).padStart(14, "0").slice(-12);
}

/** A Kubernetes object name of at most 63 characters: prefix, a recognisable part, and a hash that makes it unique. */
export function derivedName(prefix: string, recognisable: string, origin: string): string {
  const hash = shortHash(origin);
  const room = 63 - prefix.length - hash.length - 2;
  const middle = recognisable
    .slice(0, room)
    .replace(/[^a-z0-9-]/g, "-")
    .replace(/^-+|-+$/g, "");
  return `${prefix}-${middle}-${hash}`;
}

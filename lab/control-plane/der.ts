// The few DER encodings an X.509 certificate needs. Knows nothing of certificates.
import { isIPv4, isIPv6 } from "node:net";

/** ASN.1 tags as they appear on the wire (class, constructed bit and number together). */
export const Tag = {
  boolean: 0x01,
  bitString: 0x03,
  octetString: 0x04,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One tag-length-value around the concatenated contents. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const length = contents.reduce((sum, content) => sum + content.length, 0);
  return Buffer.concat([Buffer.from([tag]), encodeLength(length), ...contents]);
}

function encodeLength(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

/** A non-negative integer given as big-endian bytes; a leading zero keeps it from reading as negative. */
export function derInteger(magnitude: Uint8Array): Buffer {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
  const digits = magnitude.subarray(start);
  return der(0x02, (digits[0] ?? 0) >= 0x80 ? Buffer.from([0]) : Buffer.alloc(0), digits);
}

/** An object identifier from its dotted form. */
export function derObjectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc % 128];
    for (let high = Math.floor(arc / 128); high > 0; high = Math.floor(high / 128)) {
      groups.unshift((high % 128) | 0x80);
    }
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
}

/** A point in time, to the second: UTCTime until 2049 and GeneralizedTime after, as RFC 5280 4.1.2.5 demands. */
export function derTime(time: Date): Buffer {
  const digits = time.toISOString().replace(/[-:T]|\.\d+/g, "");
  return time.getUTCFullYear() < 2050
    ? der(Tag.utcTime, Buffer.from(digits.slice(2)))
    : der(Tag.generalizedTime, Buffer.from(digits));
}

/** The bytes of an IP address as a subject alternative name carries them, or undefined where `host` is a DNS name. */
export function ipAddressBytes(host: string): Buffer | undefined {
  if (isIPv4(host)) return Buffer.from(host.split(".").map(Number));
  if (!isIPv6(host) || host.includes(".")) return undefined;
  const [head = "", tail] = host.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  const groups = [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
  return Buffer.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

// The packet of a UDP probe: whose it is, and its number. The guest is to send it back as it came.

const MAGIC = Uint8Array.from([0x48, 0x46, 0x50, 0x31]);
export const PACKET_KEY_BYTES = 8;
const NUMBER_OFFSET = MAGIC.length + PACKET_KEY_BYTES;
const PACKET_BYTES = NUMBER_OFFSET + 4;

export function numberedPacket(number: number, key: Uint8Array): Uint8Array {
  const packet = new Uint8Array(PACKET_BYTES);
  packet.set(MAGIC, 0);
  packet.set(key, MAGIC.length);
  new DataView(packet.buffer).setUint32(NUMBER_OFFSET, number);
  return packet;
}

/** The number of one of our own packets; undefined for anything else. */
export function numberOf(message: Uint8Array, key: Uint8Array): number | undefined {
  if (message.length !== PACKET_BYTES) return undefined;
  const ours = [...MAGIC, ...key].every((byte, index) => message[index] === byte);
  if (!ours) return undefined;
  return new DataView(message.buffer, message.byteOffset, message.byteLength).getUint32(NUMBER_OFFSET);
}

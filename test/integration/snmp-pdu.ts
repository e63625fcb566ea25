// A power distribution unit that speaks as much SNMP v2c as fence_apc_snmp needs, each outlet a switch of something real.
import { createSocket, type Socket } from "node:dgram";
import type { PowerSwitch } from "../../lab/bmc/power-switch.ts";

const SYS_OBJECT_ID = "1.3.6.1.2.1.1.2.0";
/** A rack PDU of APC, as it names itself. */
const RACK_PDU = "1.3.6.1.4.1.318.1.3.4.5";
const STATUS = "1.3.6.1.4.1.318.1.1.12.3.5.1.1.4.";
const CONTROL = "1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.";

const TAG = { integer: 2, oid: 6, sequence: 0x30, get: 0xa0, response: 0xa2, set: 0xa3 } as const;
const NO_SUCH_INSTANCE = Buffer.from([0x81, 0]);
/** What comes after everything else here: a walk that meets it ends, and asks for the single value. */
const AFTER_ALL = "1.3.6.1.2.1.1.3.0";

interface Element {
  readonly tag: number;
  readonly content: Buffer;
  /** With tag and length. */
  readonly whole: Buffer;
}

export class SnmpPdu {
  readonly #outlets: ReadonlyMap<number, PowerSwitch>;
  readonly #socket: Socket = createSocket("udp4");

  private constructor(outlets: ReadonlyMap<number, PowerSwitch>) {
    this.#outlets = outlets;
  }

  static async start(outlets: ReadonlyMap<number, PowerSwitch>): Promise<SnmpPdu> {
    const pdu = new SnmpPdu(outlets);
    pdu.#socket.on("message", (message, { port, address }) => {
      void pdu.#answer(message).then((answer) => pdu.#socket.send(answer, port, address));
    });
    await new Promise<void>((resolve) => {
      pdu.#socket.bind(0, "127.0.0.1", resolve);
    });
    return pdu;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#socket.close(() => resolve());
    });
  }

  async #answer(message: Buffer): Promise<Buffer> {
    const [version, community, request] = elementsIn(elementsIn(message)[0]?.content);
    const [id, , , bindings] = elementsIn(request?.content);
    const [binding] = elementsIn(bindings?.content);
    const [name, value] = elementsIn(binding?.content);
    const isWalk = request?.tag !== TAG.get && request?.tag !== TAG.set;
    const told = isWalk ? encoded(TAG.oid, oidBytes(AFTER_ALL)) : (name?.whole ?? Buffer.alloc(0));
    const answered = await this.#valueOf(request?.tag ?? 0, oidOf(name?.content), value);
    const list = encoded(TAG.sequence, encoded(TAG.sequence, told, answered));
    const zero = encoded(TAG.integer, Buffer.from([0]));
    const response = encoded(TAG.response, id?.whole ?? zero, zero, zero, list);
    return encoded(TAG.sequence, version?.whole ?? zero, community?.whole ?? zero, response);
  }

  async #valueOf(request: number, oid: string, value: Element | undefined): Promise<Buffer> {
    const outlet = this.#outlets.get(Number(oid.split(".").at(-1)));
    if (request === TAG.set && oid.startsWith(CONTROL) && outlet !== undefined && value !== undefined) {
      await (value.content.at(-1) === 1 ? outlet.on() : outlet.off());
      return value.whole;
    }
    if (request !== TAG.get) return encoded(TAG.integer, Buffer.from([0]));
    if (oid === SYS_OBJECT_ID) return encoded(TAG.oid, oidBytes(RACK_PDU));
    if (!oid.startsWith(STATUS) || outlet === undefined) return NO_SUCH_INSTANCE;
    return encoded(TAG.integer, Buffer.from([outlet.read() === "On" ? 1 : 2]));
  }
}

/** BER: the elements that lie in a row; lengths below 64 KiB. */
function elementsIn(bytes: Buffer = Buffer.alloc(0)): readonly Element[] {
  const found: Element[] = [];
  for (let at = 0; at + 1 < bytes.length; ) {
    const first = bytes.readUInt8(at + 1);
    const extra = first > 0x80 ? first - 0x80 : 0;
    const begin = at + 2 + extra;
    const length = extra === 0 ? first : bytes.readUIntBE(at + 2, extra);
    const whole = bytes.subarray(at, begin + length);
    found.push({ tag: bytes.readUInt8(at), content: bytes.subarray(begin, begin + length), whole });
    at = begin + length;
  }
  return found;
}

function encoded(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head = length < 0x80 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}

function oidOf(bytes: Buffer = Buffer.alloc(0)): string {
  const numbers: number[] = [];
  let value = 0;
  for (const byte of bytes) {
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) {
      numbers.push(value);
      value = 0;
    }
  }
  const [first = 0, ...rest] = numbers;
  return [Math.floor(first / 40), first % 40, ...rest].join(".");
}

function oidBytes(oid: string): Buffer {
  const [first = 0, second = 0, ...rest] = oid.split(".").map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((number) =>
    number < 128 ? [number] : [(number >> 7) | 0x80, number & 0x7f],
  );
  return Buffer.from(bytes);
}

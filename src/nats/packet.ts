/** The messages of `proto/skein/v1/nats.proto`. */
import { ProtocolError } from '../errors.ts';
import {
  type Init,
  NatsKind,
  type NatsPacket,
  readNatsPacket,
  writeNatsPacket,
} from '../wire/generated/nats.js';
import { Reader, Writer } from '../wire/pbf.ts';

export { NatsKind, type NatsPacket };

/** The version of the protocol, as Open carries it. */
export const NATS_PROTOCOL_VERSION = 1;

/** The least window that is taken from the other side, in bytes: with less, parts of packets would be tiny. */
export const LEAST_WINDOW_BYTES = 4_096;

/** What a message takes beside its data at most, in bytes, when it carries any. */
export const HEAD_BYTES = 48;

/** The numbers of the fields, and how their values are written, as protobuf puts them before each. */
const KIND = 0x08;
const SEQUENCE = 0x10;
const TAKEN = 0x18;
const MORE = 0x20;
const DATA = 0x2a;

// One of each: to make them takes longer than what they are made for.
const writer = new Writer();
const reader = new Reader(new Uint8Array());

export function encodePacket(packet: Init<NatsPacket>): Uint8Array {
  writer.begin(Buffer.allocUnsafe(HEAD_BYTES + (packet.data?.length ?? 0)));
  writeNatsPacket(packet, writer);
  return writer.finish();
}

/** What `encodePacket` gives for a part of a packet, in less time: most messages are one. */
export function encodeData(
  sequence: number,
  taken: number,
  more: boolean,
  data: Uint8Array,
): Uint8Array {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + data.length);
  bytes[0] = KIND;
  bytes[1] = NatsKind.NATS_DATA;
  bytes[2] = SEQUENCE;
  let at = putVarint(bytes, 3, sequence);
  if (taken > 0) {
    bytes[at] = TAKEN;
    at = putVarint(bytes, at + 1, taken);
  }
  if (more) {
    bytes[at] = MORE;
    bytes[at + 1] = 1;
    at += 2;
  }
  bytes[at] = DATA;
  at = putVarint(bytes, at + 1, data.length);
  bytes.set(data, at);
  return bytes.subarray(0, at + data.length);
}

/** The number is whole, and not negative. Returns where the next byte goes. */
function putVarint(bytes: Uint8Array, from: number, number: number): number {
  let at = from;
  let rest = number;
  while (rest > 0x7f) {
    bytes[at] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
    at += 1;
  }
  bytes[at] = rest;
  return at + 1;
}

/** @throws ProtocolError when the bytes are no message of this protocol */
export function decodePacket(bytes: Uint8Array): NatsPacket {
  reader.begin(bytes, 0);
  let packet: NatsPacket;
  try {
    packet = readNatsPacket(reader);
  } catch (cause) {
    throw new ProtocolError('a malformed message', { cause });
  }
  if (reader.pos !== bytes.length)
    throw new ProtocolError('a malformed message: a length is wrong');
  return packet;
}

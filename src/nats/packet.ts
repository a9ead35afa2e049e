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

/** What a message takes beside its data at most, in bytes, when it carries any. */
export const HEAD_BYTES = 48;

export function encodePacket(packet: Init<NatsPacket>): Uint8Array {
  const writer = new Writer(Buffer.allocUnsafe(HEAD_BYTES + (packet.data?.length ?? 0)));
  writeNatsPacket(packet, writer);
  return writer.finish();
}

/** @throws ProtocolError when the bytes are no message of this protocol */
export function decodePacket(bytes: Uint8Array): NatsPacket {
  const reader = new Reader(bytes);
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

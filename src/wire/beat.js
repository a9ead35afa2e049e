/**
 * What a worker's beat says: whether its process lives, and whether its event loop turns. JavaScript,
 * since the thread that answers runs it as it is (Node 20 starts no thread from TypeScript).
 *
 * A packet has five bytes: one for the kind, and a number of 32 bits, high byte first. Whoever asks
 * sends `poke` and `stop`; each is answered with one `beat`, in the order in which they came. On a
 * stream the packets follow each other with nothing in between. Over TCP the one who asks first sends a
 * token of 16 bytes, which the worker has made; who sends another one, or none, gets no answer. Where the worker
 * takes links by TLS only, so it is here, with `skein-beat` in ALPN.
 *
 * | kind | byte | number |
 * | --- | --- | --- |
 * | poke | 1 | 0 |
 * | beat | 2 | milliseconds since the worker's event loop last turned |
 * | stop | 3 | grace time in milliseconds: when the process has not ended 2 s after it, it is killed |
 */

/** @typedef {{ kind: 'poke' | 'beat' | 'stop', ms: number }} Beat */

const KINDS = /** @type {const} */ (['poke', 'beat', 'stop']);

/** What is asked for in ALPN, so that no other server with the same certificate is mistaken for a beat. */
export const ALPN_BEAT = 'skein-beat';

/** Bytes of a token. */
export const TOKEN_BYTES = 16;

/** Bytes of a packet. */
export const BEAT_BYTES = 5;

/** The largest number that a packet holds; larger ones become it. */
export const MAX_BEAT_MS = 0xffff_ffff;

/**
 * @param {Beat['kind']} kind
 * @param {number} ms cut to a whole number from 0 to MAX_BEAT_MS
 * @returns {Uint8Array}
 */
export function encodeBeat(kind, ms = 0) {
  const bytes = new Uint8Array(BEAT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, KINDS.indexOf(kind) + 1);
  view.setUint32(1, Math.min(MAX_BEAT_MS, Math.max(0, Math.floor(ms))));
  return bytes;
}

/**
 * @param {Uint8Array} bytes
 * @returns {Beat | undefined} undefined when it is no packet of these
 */
export function decodeBeat(bytes) {
  const kind = KINDS[(bytes[0] ?? 0) - 1];
  if (bytes.length !== BEAT_BYTES || kind === undefined) return undefined;
  return { kind, ms: new DataView(bytes.buffer, bytes.byteOffset).getUint32(1) };
}

/** Cuts the bytes of a stream into packets. */
export class BeatReader {
  /** @type {Uint8Array} */
  #rest = new Uint8Array(0);

  /**
   * @param {Uint8Array} bytes
   * @returns {Uint8Array[]} the packets that are whole by now
   */
  read(bytes) {
    const all = new Uint8Array(this.#rest.length + bytes.length);
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    const whole = all.length - (all.length % BEAT_BYTES);
    const packets = [];
    for (let at = 0; at < whole; at += BEAT_BYTES) packets.push(all.slice(at, at + BEAT_BYTES));
    this.#rest = all.slice(whole);
    return packets;
  }
}

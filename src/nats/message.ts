/**
 * What a connection to NATS brings, in a file of its own: the types of the bus must not lead to those of the
 * client, which may be missing.
 */

export interface BusMessage {
  readonly subject: string;
  /** The bytes belong to who takes them. */
  readonly data: Uint8Array;
  /** 503 where the server says that nobody subscribes to what this one's reply subject was given for; else 0. */
  readonly status: number;
}

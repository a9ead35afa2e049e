/** What a peer may ask of this side: each limit with its unit, its default and the reason for it. */

/** How much a peer may ask for; a peer is whoever is at the other end of a link, caller or worker. */
export interface PeerLimits {
  /** Bytes of one envelope, which is what the frames of one turn share. */
  readonly maxEnvelopeBytes: number;
  /** Bytes of one frame. */
  readonly maxFrameBytes: number;
  /** Frames in one envelope. */
  readonly maxFramesPerEnvelope: number;
  /** Bytes of one argument list or result, taken or sent. */
  readonly maxValueBytes: number;
  /** Bytes of the values that are on their way in chunks at a time, on one link. */
  readonly maxIncomingBytes: number;
  /** Frames that one value of a call may come in: its chunks. */
  readonly maxFramesPerCall: number;
  /** Frames on one link that are of no use: see `reason` in the table. */
  readonly maxStrayFrames: number;
  /** Calls in progress at a time, on one link. */
  readonly maxCallsPerLink: number;
  /** Links at a time, to one worker. */
  readonly maxLinks: number;
  /** Routines that a caller may name on one link. */
  readonly maxRoutines: number;
  /** Characters of the name of a routine, its module included. */
  readonly maxNameLength: number;
  /** Levels of arrays and objects in one another, in one value. */
  readonly maxDepth: number;
  /** Context variables that come with one frame. */
  readonly maxContextVars: number;
  /** Tokens of context variables that come with one frame. */
  readonly maxContextTokens: number;
  /** Tokens that were used, named in one frame. */
  readonly maxSpentTokens: number;
  /** Milliseconds in which the other side must have greeted. */
  readonly helloTimeoutMs: number;
  /** Milliseconds after which a worker ends a link on which nothing is in progress; Infinity: never. */
  readonly idleLinkTimeoutMs: number;
  /** Bytes of small answers that may wait for a slow reader before the worker stops reading from it. */
  readonly maxBacklogBytes: number;
  /** Bytes of answers, large values too, that may wait for a slow reader. */
  readonly maxHeldBytes: number;
  /** Milliseconds in which a slow reader, for whom more than `maxHeldBytes` wait, must have taken something. */
  readonly readTimeoutMs: number;
  /** Connections at a time whose callers have not shown who they are. */
  readonly maxStrangers: number;
  /** Milliseconds in which they must have. */
  readonly strangerMs: number;
}

export type LimitName = keyof PeerLimits;

/** What a breach of a limit ends. */
export type LimitEnds = 'call' | 'link' | 'connection' | 'nothing';

export interface LimitRow {
  readonly unit: 'bytes' | 'frames' | 'ms' | 'characters' | 'levels' | 'number';
  readonly default: number;
  /** No less can be given: senders that keep to the protocol need it. */
  readonly least: number;
  /** No more can be given. Default: any. */
  readonly most?: number;
  /** What a breach ends; `nothing`: the peer waits, or another one is turned away. */
  readonly ends: LimitEnds;
  /** Why there is a limit, and why it is there. */
  readonly reason: string;
}

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

/** 16 that are sent, and as many that wait for their frames. */
const VALUES_AT_A_TIME = 32;

/** Node's timers fire at once beyond that. */
const LONGEST_MS = 0x7fffffff;

/** All limits, in the order in which docs/security.md shows them. */
export const PEER_LIMITS: Readonly<Record<LimitName, LimitRow>> = {
  maxEnvelopeBytes: {
    unit: 'bytes',
    default: 8 * MiB,
    least: 192 * KiB,
    ends: 'link',
    reason:
      'an envelope is decoded in one go, and everybody else waits meanwhile; those that are sent here end at 64 KiB, and one frame',
  },
  maxFrameBytes: {
    unit: 'bytes',
    default: MiB,
    least: 128 * KiB,
    ends: 'link',
    reason:
      'larger values come in chunks, between which others have their turn; 64 KiB of value are sent inside of a frame here, and chunks of up to 256 KiB are allowed',
  },
  maxFramesPerEnvelope: {
    unit: 'frames',
    default: 65_536,
    least: 16_384,
    ends: 'link',
    reason:
      'an empty frame takes 4 bytes on the wire and a hundred times as much in memory; 64 KiB of the smallest ones are 16,384',
  },
  maxValueBytes: {
    unit: 'bytes',
    default: 256 * MiB,
    least: 1,
    ends: 'call',
    reason: 'a value is in memory as a whole, twice while it is decoded',
  },
  maxIncomingBytes: {
    unit: 'bytes',
    default: 8 * GiB,
    least: 1,
    ends: 'link',
    reason:
      'chunks are kept until the value is whole; 32 times `maxValueBytes`, since 16 values may be on their way and as many wait for their frames; told in Hello',
  },
  maxFramesPerCall: {
    unit: 'frames',
    default: 65_536,
    least: 16,
    ends: 'link',
    reason:
      'chunks without bytes, or with one, would go on for ever; a value of 4 GiB takes as many of 64 KiB',
  },
  maxStrayFrames: {
    unit: 'frames',
    default: 10_000,
    least: 100,
    ends: 'link',
    reason:
      'frames of calls that are over, pings and chunks without bytes cost their receiver time and say nothing; 4 for each call, and 100 for each second, come on top',
  },
  maxCallsPerLink: {
    unit: 'number',
    default: 131_072,
    least: 1,
    ends: 'call',
    reason:
      'a task that waits takes about 2 KiB; callers know the limit from Hello, and let their calls wait for each other',
  },
  maxLinks: {
    unit: 'number',
    default: 4_096,
    least: 1,
    ends: 'link',
    reason:
      'a link takes a socket and some 100 KiB; each pool, and each worker that calls this one, has one',
  },
  maxRoutines: {
    unit: 'number',
    default: 65_536,
    least: 1,
    ends: 'link',
    reason: 'names are kept as long as the link; more than a program has',
  },
  maxNameLength: {
    unit: 'characters',
    default: 4_096,
    least: 256,
    ends: 'link',
    reason: 'the same; as long as the longest path of a file',
  },
  maxDepth: {
    unit: 'levels',
    default: 1_000,
    least: 16,
    most: 1_000,
    ends: 'call',
    reason: 'values are read by functions that call themselves, and the stack ends somewhere',
  },
  maxContextVars: {
    unit: 'number',
    default: 10_000,
    least: 0,
    most: 10_000,
    ends: 'call',
    reason: 'each is an object here, however few bytes it has',
  },
  maxContextTokens: {
    unit: 'number',
    default: 10_000,
    least: 0,
    most: 10_000,
    ends: 'call',
    reason: 'the same',
  },
  maxSpentTokens: {
    unit: 'number',
    default: 100_000,
    least: 0,
    most: 100_000,
    ends: 'call',
    reason: 'the same; those of a call that goes on for long are told at once',
  },
  helloTimeoutMs: {
    unit: 'ms',
    default: 10_000,
    least: 1,
    ends: 'link',
    reason: 'who does not greet holds a link all the same; ten round trips of the slowest network',
  },
  idleLinkTimeoutMs: {
    unit: 'ms',
    default: 15 * 60_000,
    least: 1,
    ends: 'link',
    reason:
      'a caller that has forgotten a link holds its socket and memory; a new link takes one round trip, so calls that are rarer than this do not feel it',
  },
  maxBacklogBytes: {
    unit: 'bytes',
    default: 8 * MiB,
    least: 1,
    ends: 'nothing',
    reason:
      'who does not read its answers gets no more tasks taken: the worker stops reading, and goes on when half of it is out',
  },
  maxHeldBytes: {
    unit: 'bytes',
    default: GiB,
    least: 1,
    ends: 'link',
    reason:
      'large answers wait in memory; beyond it new tasks are refused as BUSY, and the link ends when nothing was taken for `readTimeoutMs`',
  },
  readTimeoutMs: {
    unit: 'ms',
    default: 30_000,
    least: 1,
    ends: 'link',
    reason: 'as long as a caller may be silent (`callerLostAfter`)',
  },
  maxStrangers: {
    unit: 'number',
    default: 256,
    least: 1,
    ends: 'connection',
    reason: 'a socket costs its opener little; with one more, the oldest ends',
  },
  strangerMs: {
    unit: 'ms',
    default: 10_000,
    least: 1,
    ends: 'connection',
    reason: 'the exchange takes two round trips',
  },
};

/** The limits where nothing is given. */
export const defaultPeerLimits: PeerLimits = Object.freeze(
  Object.fromEntries(Object.entries(PEER_LIMITS).map(([name, row]) => [name, row.default])),
) as unknown as PeerLimits;

/**
 * The limits that are given, and the defaults of the others. What stands for no limit is as large as it can be.
 *
 * @throws TypeError when there is no limit of that name
 * @throws RangeError when one is out of bounds
 */
export function limitsOf(given: Partial<PeerLimits> = {}): PeerLimits {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new TypeError('limits must be an object, e.g. { maxValueBytes: 1_000_000 }');
  }
  const limits: Record<LimitName, number> = { ...defaultPeerLimits };
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (!Object.hasOwn(PEER_LIMITS, name)) {
      throw new TypeError(
        `limits has no '${name}'; it may have ${Object.keys(PEER_LIMITS).join(', ')}`,
      );
    }
    limits[name as LimitName] = check(name as LimitName, value);
  }
  return withRoom(limits, given.maxIncomingBytes);
}

/** Values must have room for the largest of them; and for as many as by default, where nothing is said of that. */
function withRoom(limits: PeerLimits, incoming: number | undefined): PeerLimits {
  const { maxValueBytes, maxIncomingBytes } = limits;
  if (maxIncomingBytes >= maxValueBytes * VALUES_AT_A_TIME) return limits;
  if (incoming === undefined) {
    const room = Math.min(maxValueBytes * VALUES_AT_A_TIME, Number.MAX_SAFE_INTEGER);
    return { ...limits, maxIncomingBytes: room };
  }
  if (maxIncomingBytes >= maxValueBytes) return limits;
  throw new RangeError(
    `limits.maxIncomingBytes must be ${maxValueBytes} or more, as one value may have (maxValueBytes), not ${incoming}`,
  );
}

function check(name: LimitName, value: unknown): number {
  const { unit, least, most } = PEER_LIMITS[name];
  const highest = unit === 'ms' ? LONGEST_MS : Number.MAX_SAFE_INTEGER;
  const isNumber = typeof value === 'number' && value >= least && value <= (most ?? value);
  if (isNumber && value >= highest) return highest;
  if (isNumber && (unit === 'ms' || Number.isInteger(value))) return value;
  const bounds = most === undefined ? `${least} or more` : `from ${least} to ${most}`;
  const kind = unit === 'ms' ? 'a number of milliseconds' : 'a whole number';
  throw new RangeError(`limits.${name} must be ${kind}, ${bounds}, not ${String(value)}`);
}

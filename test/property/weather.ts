/** What a transport does to packets when it does not keep its word. */
import fc from 'fast-check';
import type { Fault } from './wires.ts';

/** What becomes of one packet. */
export type Fate =
  | { type: 'whole' }
  | { type: 'lost' }
  /** It comes as often as that. */
  | { type: 'repeated'; times: number }
  /** After it comes an earlier packet, once more. */
  | { type: 'echo'; back: number }
  /** So many bytes of its end are missing. */
  | { type: 'cut'; bytes: number }
  /** The next packet overtakes it. */
  | { type: 'late' };

export const whole = fc.constant<Fate>({ type: 'whole' });
export const harmless = fc.oneof(
  fc.record({ type: fc.constant('repeated' as const), times: fc.integer({ min: 2, max: 4 }) }),
  fc.record({ type: fc.constant('echo' as const), back: fc.nat(20) }),
);
export const harmful = fc.oneof(
  fc.constant<Fate>({ type: 'lost' }),
  fc.constant<Fate>({ type: 'late' }),
  // The number at the end takes two or three bytes here.
  fc.record({ type: fc.constant('cut' as const), bytes: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ type: fc.constant('cut' as const), bytes: fc.integer({ min: 1, max: 100 }) }),
);

export function fates(...weighted: fc.WeightedArbitrary<Fate>[]): fc.Arbitrary<Fate[]> {
  return fc.array(fc.oneof(...weighted), { maxLength: 150, size: 'max' });
}

/** Metes out the fates; when they are used up, every packet arrives. */
export class Weather {
  readonly #fates: readonly Fate[];
  #next = 0;
  /** Whether a packet was damaged, lost or overtaken. */
  harmed = false;
  /** Packets that came once more. */
  extra = 0;

  constructor(fates: readonly Fate[]) {
    this.#fates = fates;
  }

  end(): void {
    this.#next = this.#fates.length;
  }

  /** What happens to the packets of one direction of one link. */
  fault(): Fault {
    const earlier: Uint8Array[] = [];
    let held: Uint8Array[] = [];
    return (packet) => {
      const fate = this.#fates[this.#next];
      this.#next += 1;
      if (fate?.type === 'late') {
        this.harmed = true;
        held.push(packet);
        return [];
      }
      const arrivals = [...this.#arrivals(packet, fate, earlier), ...held];
      held = [];
      earlier.push(packet);
      return arrivals;
    };
  }

  #arrivals(packet: Uint8Array, fate: Fate | undefined, earlier: Uint8Array[]): Uint8Array[] {
    switch (fate?.type) {
      case 'lost':
        this.harmed = true;
        return [];
      case 'cut':
        this.harmed = true;
        return [packet.slice(0, Math.max(0, packet.length - fate.bytes))];
      case 'repeated':
        this.extra += fate.times - 1;
        return new Array<Uint8Array>(fate.times).fill(packet);
      case 'echo': {
        const echo = earlier[fate.back % earlier.length];
        if (echo === undefined) return [packet];
        this.extra += 1;
        return [packet, echo];
      }
      default:
        return [packet];
    }
  }
}

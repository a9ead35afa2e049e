/**
 * Which byte arrays of a value show the same memory. They arrive sharing it again: a write through one
 * shows in the others. Bytes that none of them shows stay here: Node.js, for one, cuts small Buffers
 * from a pool that holds other data.
 */

/** A part of a buffer that travels as one. */
export interface Group {
  readonly buffer: ArrayBufferLike;
  /** Whether the buffer itself occurs in the value. Then all of it travels, and all its views join. */
  readonly whole: boolean;
  readonly start: number;
  readonly end: number;
  /** The largest element of its views: where `start` is no multiple of it, padding goes in front. */
  readonly align: number;
}

/** The groups of each buffer, in the order of their starts. */
export type Groups = ReadonlyMap<ArrayBufferLike, readonly Group[]>;

/** What a buffer or a view shows: the bytes from `start` up to `end`. */
export interface Span {
  readonly buffer: ArrayBufferLike;
  readonly start: number;
  readonly end: number;
  /** The size of an element of a view; `WHOLE` for the buffer itself. */
  readonly align: number;
}

export const WHOLE = 0;

/** Up to this many spans a scan finds a buffer faster than a Set does. */
const SCANNED = 12;

/** The memory that occurs in a value. It is filled with every value, and kept for the next one. */
export class MemoryList {
  #spans: (Span | undefined)[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(span: Span): void {
    this.#spans[this.#count++] = span;
  }

  /** Forgets all from number `count` on. */
  forget(count: number): void {
    if (count === 0 && this.#count > SCANNED) this.#spans = [];
    else for (let i = count; i < this.#count; i++) this.#spans[i] = undefined;
    this.#count = count;
  }

  /** What shares memory; undefined when nothing does. */
  groups(): Groups | undefined {
    if (this.#apart()) return undefined;
    const groups = new Map<ArrayBufferLike, Group[]>();
    for (const [buffer, spans] of this.#byBuffer()) {
      const found = spans.length < 2 ? [] : groupsIn(buffer, spans);
      if (found.length > 0) groups.set(buffer, found);
    }
    return groups.size === 0 ? undefined : groups;
  }

  /**
   * A quick look, which says no where it would have to look longer: every buffer occurs once, or with
   * views that follow each other, as those that were cut from a pool one after another.
   */
  #apart(): boolean {
    const known = this.#count > SCANNED ? new Set<ArrayBufferLike>() : undefined;
    let last: Span | undefined;
    for (let i = 0; i < this.#count; i++) {
      const span = this.#spans[i]!;
      if (span.buffer === last?.buffer) {
        if (span.start < last.end || span.align === WHOLE || last.align === WHOLE) return false;
      } else if (known === undefined ? this.#occurs(span.buffer, i) : known.has(span.buffer)) {
        return false;
      }
      known?.add(span.buffer);
      last = span;
    }
    return true;
  }

  /** Whether a buffer is that of one of the first spans. */
  #occurs(buffer: ArrayBufferLike, count: number): boolean {
    for (let i = 0; i < count; i++) if (this.#spans[i]!.buffer === buffer) return true;
    return false;
  }

  #byBuffer(): Map<ArrayBufferLike, Span[]> {
    const lists = new Map<ArrayBufferLike, Span[]>();
    for (let i = 0; i < this.#count; i++) {
      const span = this.#spans[i]!;
      const list = lists.get(span.buffer);
      if (list === undefined) lists.set(span.buffer, [span]);
      else list.push(span);
    }
    return lists;
  }
}

/** The group that all bytes of a view belong to. */
export function groupOf(groups: Groups, view: Span): Group | undefined {
  const inBuffer = groups.get(view.buffer);
  if (inBuffer === undefined) return undefined;
  let low = 0;
  for (let high = inBuffer.length; high - low > 1; ) {
    const middle = (low + high) >>> 1;
    if (inBuffer[middle]!.start <= view.start) low = middle;
    else high = middle;
  }
  const group = inBuffer[low]!;
  if (group.whole) return group;
  const inside = group.start <= view.start && view.end <= group.end;
  return inside && view.end > view.start ? group : undefined;
}

/** How many zero bytes go in front of a group's own, so that its views are aligned. */
export function paddingOf({ start, align }: Group): number {
  return start % align;
}

/** The bytes of a group as they travel. They are copied only where they need padding. */
export function bytesOfGroup(group: Group): Uint8Array {
  const { buffer, start, end } = group;
  const bytes = new Uint8Array(buffer, start, end - start);
  const padding = paddingOf(group);
  if (padding === 0) return bytes;
  const padded = new Uint8Array(padding + bytes.length);
  padded.set(bytes, padding);
  return padded;
}

function groupsIn(buffer: ArrayBufferLike, spans: Span[]): Group[] {
  const whole = spans.find(({ align }) => align === WHOLE);
  if (whole !== undefined) return [{ ...whole, whole: true, align: 1 }];
  const seen = spans.filter(({ start, end }) => end > start).sort((a, b) => a.start - b.start);
  const groups: Group[] = [];
  for (let first = 0; first < seen.length; ) {
    let { start, end, align } = seen[first]!;
    let next = first + 1;
    for (; next < seen.length && seen[next]!.start < end; next++) {
      end = Math.max(end, seen[next]!.end);
      align = Math.max(align, seen[next]!.align);
    }
    if (next - first > 1) groups.push({ buffer, whole: false, start, end, align });
    first = next;
  }
  return groups;
}

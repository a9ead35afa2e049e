/**
 * The rows of the tables in docs/values.md: which values travel, as what they arrive, and which are
 * refused. `npm run values` makes the tables of them, and `test/integration/values.test.ts` sends
 * every example of every row through a real worker.
 */
import { same } from './same.ts';

/** Makes one value; the same one in every process, and a new one each time. */
export type Make = () => unknown;

/**
 * Whether what arrived is what should.
 *
 * @param sent the example, made once more in the process that checks
 * @throws when it is not
 */
export type Check = (arrived: unknown, sent: unknown) => void;

/** A type of values that travel. */
export interface Row {
  /** The type, in Markdown. Without its marks it is the name of the tests. */
  readonly type: string;
  /**
   * What arrives, in words.
   *
   * @default 'equal'
   */
  readonly arrives?: string;
  /** What it is as CBOR. */
  readonly wire: string;
  readonly examples: Readonly<Record<string, Make>>;
  /** @default same */
  readonly check?: Check;
  /** The name of a global that not every version of Node has, and that the examples need. */
  readonly needs?: string;
}

/** A value, and the path of the part that can't travel, as `.get("key")`. */
export type Placed = readonly [make: Make, path: string | RegExp];

/** A type of values that are refused. */
export interface RefusedRow {
  readonly type: string;
  /** What the error calls it; a part of its message. */
  readonly says: string;
  /** What the error advises; a part of its message. */
  readonly advice: string;
  /**
   * What becomes of it, in words.
   *
   * @default 'refused: ' and the advice
   */
  readonly arrives?: string;
  readonly examples: Readonly<Record<string, Make | Placed>>;
  readonly needs?: string;
}

export interface Group<R = Row> {
  /** Begins with a capital letter. */
  readonly title: string;
  /** The file in `rows/`. */
  readonly file: string;
  readonly rows: readonly R[];
}

/** The name of a row's tests. */
export function nameOf(row: { readonly type: string }): string {
  return row.type.replaceAll('`', '');
}

/** Whether this version of Node has what the examples need. */
export function isPossible({ needs }: { readonly needs?: string }): boolean {
  return needs === undefined || needs in globalThis;
}

/** @throws when what arrived is not what the row says */
export function check(row: Row, example: string, arrived: unknown): void {
  const make = row.examples[example];
  if (make === undefined) throw new Error(`${nameOf(row)} has no example '${example}'`);
  (row.check ?? same)(arrived, make());
}

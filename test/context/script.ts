/**
 * Scripts of context variables: trees of plain data that cross the wire as arguments, so that one
 * interpreter runs them on the caller, on workers and in the oracle.
 *
 * Each task holds the tokens that it made or was given in its *hand*. Scripts name them by their place
 * there, counted from the newest: 0 is the one that came last; places wrap around.
 */

/** Variables are numbered. */
export type Variable = number;

export const VARIABLES: readonly Variable[] = [0, 1, 2];

/** What variable 1 is by default; the others have none. */
export function defaultOf(variable: Variable): { name: string; held: [] } | undefined {
  return variable === 1 ? { name: 'default', held: [] } : undefined;
}

/** The place of a token in the hand. */
export type Place = number;

/**
 * What a function does: its operations, then it returns the tokens of `give`. What it detached goes on
 * when it has returned.
 */
export interface Body {
  readonly ops: readonly Op[];
  readonly give: readonly Place[];
}

/** What a generator does: each part ends with a yield of the tokens that it gives, the last with a return. */
export interface GeneratorBody {
  readonly parts: readonly Body[];
  /** Whether it goes on when something is thrown into it. */
  readonly catches: boolean;
  /** What its `finally` does when the consumer ends it. */
  readonly cleanup: Body;
}

/** A call of a function on a worker. */
export interface Call {
  readonly body: Body;
  /** The tokens that are its arguments. */
  readonly pass: readonly Place[];
  /** Whether it may run again when its worker is lost. Default: false. */
  readonly idempotent?: boolean;
}

/** A call of `next` on a generator of the task, the newest of which is 0. */
export interface Step {
  readonly generator: number;
  /** The tokens that are its value. The first step has none. */
  readonly pass: readonly Place[];
}

/** A worker dies, or the link to it breaks: that of the caller, or, when nested, of another worker. */
export interface Strike {
  readonly kind: 'crash' | 'cut';
  readonly worker: number;
  readonly nested: boolean;
}

export type Op =
  /** Reads a variable, and takes the tokens in its value into the hand. */
  | { readonly op: 'get'; readonly v: Variable; readonly fallback?: boolean }
  /** Sets a variable to a value of its own, which holds the tokens in `hold`. */
  | { readonly op: 'set'; readonly v: Variable; readonly hold: readonly Place[] }
  /** Resets a variable, by default the token's own, with a token; with no token where the hand is empty. */
  | { readonly op: 'reset'; readonly v?: Variable | undefined; readonly token: Place }
  /** Resets with all tokens of the hand, the newest first, the variable of each. */
  | { readonly op: 'spend' }
  /** Takes the tokens into the hand that are in the value which a token would restore. */
  | { readonly op: 'old'; readonly token: Place }
  /** Notes the id of the chain. */
  | { readonly op: 'chain' }
  | { readonly op: 'fork'; readonly ops: readonly Op[] }
  /** A call that is awaited at once. */
  | { readonly op: 'call'; readonly call: Call }
  /** Calls that are all started before the first is awaited. */
  | { readonly op: 'all'; readonly calls: readonly Call[] }
  /** A call that is out while `ops` run, and then ends, or is cancelled. */
  | {
      readonly op: 'during';
      readonly call: Call;
      readonly ops: readonly Op[];
      readonly cancel?: boolean;
    }
  /** A call that nobody awaits, and that outlives the task. */
  | { readonly op: 'leave'; readonly call: Call }
  /** Operations that the task does when it was answered, and its caller wakes them. */
  | { readonly op: 'detach'; readonly ops: readonly Op[] }
  /** Has the tasks that were called and answered do what they detached, one after the other. */
  | { readonly op: 'wake' }
  /** Makes a generator, which begins with its first step. */
  | {
      readonly op: 'generate';
      readonly body: GeneratorBody;
      readonly pass: readonly Place[];
      readonly idempotent?: boolean;
    }
  /** Steps that are all asked for before the first is awaited. */
  | { readonly op: 'next'; readonly steps: number; readonly step: Step }
  /** A step that is out while `ops` run. */
  | { readonly op: 'nextDuring'; readonly step: Step; readonly ops: readonly Op[] }
  /** Ends a generator early. */
  | { readonly op: 'return'; readonly generator: number }
  /** Throws an error into a generator that has the tokens of `pass` with it. */
  | { readonly op: 'throw'; readonly generator: number; readonly pass: readonly Place[] }
  /** Has something go wrong now; for scripts that the oracle is not asked about. */
  | ({ readonly op: 'strike' } & Strike)
  /** Ends the task with an error that has the tokens of `give` with it. */
  | { readonly op: 'fail'; readonly give: readonly Place[] };

import { rm } from 'node:fs/promises';
import { ContextVar, registerClass, routine } from '../../../src/index.ts';

const namespace = 'failures';
export const plain = new ContextVar<unknown>('plain', { namespace });
export const odd = new ContextVar<unknown>('odd', { namespace });
export const other = new ContextVar<unknown>('other', { namespace });

/** Whose `encode` or `decode` fails. */
export class Fickle {
  readonly fails: string;
  constructor(fails: string) {
    this.fails = fails;
  }
}
registerClass(Fickle, {
  encode: ({ fails }) => {
    if (fails === 'encode') throw new RangeError('encode fails');
    return fails;
  },
  decode: (fails: string) => {
    if (fails === 'decode') throw new RangeError('decode fails');
    return new Fickle(fails);
  },
});

const makers: { readonly [kind: string]: () => unknown } = {
  function: () => () => 1,
  encode: () => new Fickle('encode'),
  decode: () => new Fickle('decode'),
  good: () => 'good',
};

export function make(kind: string): unknown {
  return makers[kind]?.();
}

const seen: string[] = [];
process.on('warning', (warning) => {
  if (warning.name === 'SkeinSerializationWarning') seen.push(warning.message);
});

/** The warnings of this process since the last call. */
export function takeWarnings(): string[] {
  return seen.splice(0);
}

/** Those of the worker. */
export const workerWarnings = routine(async () => {
  await new Promise((resolve) => setImmediate(resolve));
  return takeWarnings();
});

/** Bodies that have begun here, of the routines below. */
let bodies = 0;
export const countBodies = routine(() => bodies);

function here() {
  return { plain: plain.get('unset'), odd: odd.get('unset'), other: other.get('unset') };
}

export const look = routine((..._args: unknown[]) => {
  bodies += 1;
  return here();
});

export const change = routine((kind: string, moreOdd?: string) => {
  plain.set('changed');
  odd.set(make(kind));
  if (moreOdd !== undefined) other.set(make(moreOdd));
  return 'result';
});

export const changeAndThrow = routine((kind: string, property?: unknown): void => {
  plain.set('changed');
  odd.set(make(kind));
  throw Object.assign(new RangeError('its own'), { property });
});

export const giveUnencodable = routine((kind: string): unknown => {
  plain.set('changed');
  odd.set(make(kind));
  return () => 1;
});

/** Yields what it sees; or sets `odd` as it is told, and yields that. */
export const steps = routine(async function* (): AsyncGenerator<unknown, string, string> {
  try {
    for (;;) {
      let kind = yield here();
      while (kind !== undefined) {
        plain.set(`changed for ${kind}`);
        odd.set(make(kind));
        kind = yield kind;
      }
    }
  } finally {
    plain.set('ended');
  }
});

/** Sets `odd` to what a module has that nobody can load any more, or to that of one that is there. */
export const changeFrom = routine(async (url: string, gone: boolean) => {
  const { value } = (await import(url)) as { value: unknown };
  if (gone) await rm(new URL(url));
  plain.set('changed');
  odd.set(value);
  return 'result';
});

/** A worker that calls itself refuses the task before it begins: the token stays where it was. */
export const callUnreadable = routine(async () => {
  const token = odd.set('now');
  const error: unknown = await look(token, new Fickle('decode')).catch((thrown) => thrown);
  odd.reset(token);
  return String(error);
});

/** A value for a variable that this module does not declare goes on, and back. */
export const passOn = routine(() => look());

/** Reads a variable that is declared only now. */
export const declareAndRead = routine((name: string) => {
  const late = new ContextVar<unknown>(name, { namespace });
  return [late.get('default'), late.get('default'), late.get('other')];
});

export const declareAndCall = routine((name: string) => {
  const late = new ContextVar<{ call?: (x: number) => Promise<number> }>(name, { namespace });
  return late.get(undefined)?.call?.(20);
});

export const resetThere = routine((token: Parameters<typeof odd.reset>[0]) => {
  const { wasSet, used } = token;
  let oldValue: unknown;
  try {
    oldValue = token.oldValue;
  } catch (error) {
    oldValue = String(error);
  }
  try {
    odd.reset(token);
  } catch (error) {
    return { wasSet, used, oldValue, error: String(error) };
  }
  return { wasSet, used, oldValue, error: undefined };
});

export const setThere = routine((value: unknown) => odd.set(value));

/** Sets `odd` for a step, and takes that back in the next one. */
export const scoped = routine(async function* (value: unknown) {
  const token = odd.set(value);
  try {
    yield odd.get();
  } finally {
    odd.reset(token);
  }
});

export const getThere = routine((variable: ContextVar<unknown>) => variable.get());

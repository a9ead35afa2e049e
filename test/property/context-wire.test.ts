/** Contexts on the wire: what is written is read; damaged and hostile ones harm nobody. */
import { deepStrictEqual, ok } from 'node:assert/strict';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createActor, fromCallback } from 'xstate';
import { Admission } from '../../src/actors/admission.ts';
import { PoolProxy } from '../../src/actors/proxy.ts';
import { Session } from '../../src/actors/session.ts';
import { roundRobin } from '../../src/balancing/policies.ts';
import { ContextHome, processHome } from '../../src/context/home.ts';
import { systemEnv } from '../../src/env.ts';
import {
  ContextVar,
  fork,
  SerializationError,
  type Token,
  TokenChainError,
} from '../../src/index.ts';
import { bind } from '../../src/routine/calls.ts';
import { type AnyFunction, define } from '../../src/routine/definition.ts';
import type { RegisteredRoutine } from '../../src/routine/registry.ts';
import { deriveScope, runInScope } from '../../src/routine/task.ts';
import { defaultLimits } from '../../src/transport/link.ts';
import { memoryTransport } from '../../src/transport/memory.ts';
import type { Channel } from '../../src/transport/transport.ts';
import { decodeContext, encodeContext, encodeVariable } from '../../src/wire/context.ts';
import { decodeEnvelope, EnvelopeWriter, type OutFrame } from '../../src/wire/frame.ts';
import { readContext } from '../../src/wire/generated/worker.js';
import { Reader } from '../../src/wire/pbf.ts';
import { encodeAlone, encodeArgs } from '../../src/wire/value.ts';

const name = fc.oneof(
  fc.constantFrom('a', 'b', '__proto__', 'constructor', 'toString', 'ü', '\u{1F9F6}'),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }).filter((text) => !/\0/.test(text)),
);
const bytes = fc.uint8Array({ maxLength: 40 });
const maybeBytes = fc.option(bytes, { nil: undefined });
const variable = fc.record({ namespace: name, name, value: maybeBytes });
const token = fc.record({
  id: name,
  namespace: name,
  name,
  old_value: maybeBytes,
  state: fc.nat(2),
  incomplete: fc.boolean(),
});
const context = fc.record({
  chain: fc.oneof(fc.constant(''), name),
  whole: fc.boolean(),
  variables: fc.array(variable, { maxLength: 6 }),
  tokens: fc.array(token, { maxLength: 4 }),
  spent: fc.array(name, { maxLength: 4 }),
});
type Fields = typeof context extends fc.Arbitrary<infer T> ? T : never;

function written({ chain, whole, variables, tokens, spent }: Fields): Uint8Array {
  const entries = variables.map((one) => encodeVariable(one, one.value));
  const all = { chain: chain || undefined, whole, variables: Buffer.concat(entries), spent };
  // The generated writer skips what is undefined.
  return encodeContext({ ...all, tokens: tokens as never });
}

/** As the generated reader has it, which remembers nothing. */
function readAnew(packet: Uint8Array): unknown {
  return readContext(new Reader(packet));
}

function plain({ chain, whole, variables, tokens, spent }: ReturnType<typeof decodeContext>) {
  const hex = (value: Uint8Array | undefined) => value && Buffer.from(value).toString('hex');
  return {
    chain,
    whole,
    variables: variables.map((one) => ({ ...one, value: hex(one.value) })),
    tokens: tokens.map((one) => ({ ...one, old_value: hex(one.old_value) })),
    spent,
  };
}

describe('a Context', () => {
  test('that is written is read, whatever was read before', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(context, fc.nat(3)), { minLength: 1, maxLength: 8 }),
        (list) => {
          const before: Fields[] = [];
          for (const [fields, repeat] of list) {
            // Often the variables of an earlier one again, with other fields behind them.
            const variables = before[repeat]?.variables ?? fields.variables;
            before.push(fields);
            const packet = written({ ...fields, variables });
            deepStrictEqual(plain(decodeContext(packet)), plain(readAnew(packet) as never));
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('is read after another one whose last field began where its own variables end', () => {
    const key = { namespace: 'a', name: 'b', value: new Uint8Array([1]) };
    const fields: Fields = { chain: 'c', whole: true, variables: [key], tokens: [], spent: [] };
    const packet = written(fields);
    const end = encodeVariable(key, key.value).length;
    const other = written({ ...fields, variables: [], chain: 'x'.repeat(end - 5), spent: ['s'] });
    expect(other[end - 1]).toBe((5 << 3) | 2);
    for (const each of [packet, other, packet]) {
      deepStrictEqual(plain(decodeContext(each)), plain(readAnew(each) as never));
    }
  });

  test('that is damaged is read or refused', () => {
    fc.assert(
      fc.property(context, fc.nat(), fc.nat(255), fc.nat(3), (fields, at, byte, kind) => {
        const packet = Array.from(written(fields));
        const place = at % (packet.length + 1);
        if (kind === 0) packet.splice(place);
        else if (kind === 1) packet.splice(place, 1, byte);
        else if (kind === 2) packet.splice(place, 0, byte);
        else packet.splice(place, 1);
        try {
          decodeContext(Uint8Array.from(packet));
        } catch (error) {
          ok(error instanceof SerializationError, String(error));
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([
    ['variables', 3, 10_000],
    ['tokens', 4, 10_000],
    ['spent tokens', 5, 100_000],
  ])('with too many %s is refused before they take their memory', (what, field, most) => {
    const item =
      field === 5
        ? [1, 0x61]
        : field === 3
          ? [3, 0x12, 1, 0x61]
          : [6, 0x0a, 1, 0x61, 0x1a, 1, 0x61];
    const one = Buffer.from([(field << 3) | 2, ...item]);
    const full = Buffer.concat(new Array<Buffer>(most).fill(one));
    decodeContext(full);
    const more = Buffer.concat(new Array<Buffer>(2_000_000).fill(one));
    const before = process.memoryUsage().heapUsed;
    expect(() => decodeContext(more)).toThrow(`that has more than ${most} ${what}`);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 1024 * 1024);
  });

  test('in which a length hides items is refused', () => {
    // A variable of 4 bytes, whose value claims to reach into what follows.
    const hidden = Buffer.from([0x1a, 5, 0x12, 1, 0x61, 0x1a, 10, 1, 2, 3]);
    expect(() => decodeContext(hidden)).toThrow('malformed context');
  });

  test.each([
    ['an empty name', { namespace: 'a', name: '' }],
    ['a NUL in its name', { namespace: 'a', name: 'b\0c' }],
    ['a NUL in its namespace', { namespace: 'a\0b', name: 'c' }],
  ])('with a variable with %s is refused', (_what, key) => {
    const variables = encodeVariable(key, undefined);
    const packet = encodeContext({ chain: 'c', whole: true, variables, tokens: [], spent: [] });
    expect(() => decodeContext(packet)).toThrow(SerializationError);
  });
});

const MODULE = 'file:///context-wire.js';
const namespace = 'context-wire';
const first = new ContextVar<unknown>('first', { namespace });
const second = new ContextVar<unknown>('second', { namespace });
const victim = new ContextVar<unknown>('victim', { namespace });

const bodies: { readonly [name: string]: AnyFunction } = {
  look: () => ['looked', first.get('unset'), second.get('unset')].length,
  change: () => {
    first.set({ changed: [1] });
    second.set('changed');
    return 'result';
  },
  echo: (value: unknown) => {
    second.set(['keeps', value]);
    return 'echoed';
  },
  fail: () => {
    first.set('before the error');
    throw new RangeError('its own');
  },
  steps: async function* () {
    for (let i = 0; i < 3; i += 1) {
      second.set(`step ${i}`);
      yield i;
    }
    return 'end';
  },
};

/** What becomes of the Contexts that pass: given each in turn. */
type Spoil = (bytes: Uint8Array, toWorker: boolean) => Uint8Array;

/** The frames of an envelope, with other Contexts. */
function rewrite(packet: Uint8Array, toWorker: boolean, spoil: Spoil): Uint8Array {
  const { frames, sequence } = decodeEnvelope(packet);
  const writer = new EnvelopeWriter();
  for (const frame of frames) {
    const { task, send, result, error } = frame as unknown as {
      readonly [body: string]: { args?: object; value?: object; error?: object } | undefined;
    };
    for (const value of [task?.args, send?.value, result?.value, error?.error]) {
      const carrier = value as { context?: Uint8Array } | undefined;
      if (carrier?.context) carrier.context = spoil(carrier.context, toWorker);
    }
    writer.add(frame as unknown as OutFrame);
  }
  return writer.finish(sequence);
}

function between(channel: Channel, toWorker: boolean, spoil: Spoil): Channel {
  return {
    remote: channel.remote,
    open: (handlers) =>
      channel.open({
        ...handlers,
        packet: (packet) => handlers.packet(rewrite(packet, toWorker, spoil)),
        drain: () => handlers.drain(),
        closed: (reason) => handlers.closed(reason),
      }),
    send: (packet, released) => channel.send(packet, released),
    pause: () => channel.pause(),
    resume: () => channel.resume(),
    close: (reason) => channel.close(reason),
  };
}

/** A caller and a worker, each with a home of its own. */
async function meet(spoil: Spoil) {
  const root = createActor(fromCallback(() => {})).start();
  const shared = { env: systemEnv, limits: defaultLimits };
  const inner = memoryTransport(systemEnv);
  const workerHome = new ContextHome(systemEnv);
  const routines = new Map<string, RegisteredRoutine>();
  const callers = Object.entries(bodies).map(([name, fn]) => {
    const generator = name === 'steps';
    routines.set(name, {
      module: MODULE,
      name,
      generator,
      fn,
      site: { module: MODULE, line: 1, column: 1 },
    });
    const id = { module: MODULE, name, key: `${MODULE}#${name}` };
    const definition = define({ name, id, generator, attempts: 1, encode: encodeArgs });
    return [name, bind(definition, undefined)];
  });
  let links = 0;
  await inner.listen('memory://worker', {
    link: (channel) => {
      links += 1;
      new Session(root, between(channel, true, spoil), {
        ...shared,
        uid: 'worker',
        resolve: (_module, name) => routines.get(name) as RegisteredRoutine,
        dispatcher: { home: workerHome, strictContext: false } as never,
        admission: new Admission(),
        callerLostAfterMs: Number.POSITIVE_INFINITY,
        exposeStacks: false,
        takePlace: () => true,
        freePlace: () => {},
        closed: () => {},
      });
    },
    stop: async () => {},
    status: () => ({ uid: 'worker', inFlight: 0, idleMs: 0, draining: false, uptimeMs: 0 }),
  });
  const proxy = new PoolProxy(root, {
    ...shared,
    transports: [
      { ...inner, connect: (address: string) => between(inner.connect(address), false, spoil) },
    ],
    policy: roundRobin(),
    maxQueue: 1_000,
    lostAfterMs: Number.POSITIVE_INFINITY,
    home: processHome,
  });
  proxy.send({ type: 'added', worker: { uid: 'worker', address: 'memory://worker', tags: [] } });
  const run = <T>(fn: () => T): T => runInScope(deriveScope({ dispatcher: proxy }), fn);
  const calls = Object.fromEntries(callers) as { readonly [name: string]: AnyFunction };
  return { proxy, run, calls, links: () => links };
}

async function settled(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    return error;
  }
}

const PROTOTYPE_KEYS = Reflect.ownKeys(Object.prototype).length;

describe('Contexts that are spoilt on the way', () => {
  beforeEach(() => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  });
  afterEach(() => {
    expect(Reflect.ownKeys(Object.prototype).length).toBe(PROTOTYPE_KEYS);
  });

  async function check(spoil: Spoil, towards: 'worker' | 'caller'): Promise<void> {
    let spoiling = false;
    const { proxy, run, calls, links } = await meet((bytes, toWorker) =>
      spoiling && toWorker === (towards === 'worker') ? spoil(bytes, toWorker) : bytes,
    );
    const { look, change, echo, fail, steps } = calls as Required<typeof calls>;
    await run(async () => {
      // What another chain has, the peer knows of nothing but by the tokens that it was given.
      const theirs = fork(() => {
        victim.set('secret');
        return { token: victim.set('present'), reset: (one: Token<unknown>) => victim.reset(one) };
      });
      spoiling = true;
      await fork(async () => {
        const mine = first.set({ some: ['value'] });
        const held = second.set([mine, new Map([['a', new Date(0)]])]);
        const outcomes = [
          await settled(look?.(held)),
          await settled(change?.()),
          await settled(echo?.(mine)),
          await settled(fail?.()),
        ];
        const given: unknown[] = [];
        const body = steps?.() as AsyncGenerator<unknown>;
        const ended = await settled(
          (async () => {
            for await (const value of body) given.push(value);
          })(),
        );
        if (towards === 'caller') {
          // Whatever is said of variables, it takes the place of no outcome.
          expect(outcomes).toEqual([3, 'result', 'echoed', expect.any(RangeError)]);
          expect(given).toEqual([0, 1, 2]);
          expect(ended).toBeUndefined();
        } else {
          for (const outcome of [...outcomes, ended]) {
            if (!(outcome instanceof Error) || outcome instanceof RangeError) continue;
            expect(outcome).toBeInstanceOf(SerializationError);
          }
        }
      });
      spoiling = false;
      // The link holds, and so do chains.
      await fork(async () => {
        first.set('clean');
        expect(await change?.()).toBe('result');
        expect(first.get()).toEqual({ changed: [1] });
      });
      expect(theirs.token.used).toBe(false);
      expect(theirs.token.oldValue).toBe('secret');
    });
    expect(links()).toBe(1);
    expect(proxy.stats).toMatchObject({ calls: 0, waiting: 0, deadlines: 0 });
    proxy.send({ type: 'abort', error: new Error('closed') });
  }

  test('and name a token of another chain give no right to it, and take none away', async () => {
    let id = '';
    const { run, calls, proxy } = await meet((packet, toWorker) => {
      const received = decodeContext(packet);
      if (toWorker) {
        for (const { name, ...one } of received.tokens) if (name === 'victim') id = one.id;
        return packet;
      }
      if (received.variables.length === 0) return packet;
      const item = Buffer.concat([Buffer.from([0xd9, 0xeb, 0x12, 0x70]), Buffer.from(id)]);
      return written({
        chain: received.chain,
        whole: false,
        variables: [{ namespace, name: 'second', value: item }] as never,
        tokens: [{ id, namespace, name: 'victim', state: 1 }] as never,
        spent: [id],
      });
    });
    const { look, change } = calls as Required<typeof calls>;
    await run(() =>
      fork(async () => {
        victim.set('secret');
        const theirs = victim.set('present');
        await look?.(theirs);
        expect(id).toHaveLength(16);
        await fork(async () => {
          await change?.();
          expect(second.get()).toBe(theirs);
          expect(() => victim.reset(theirs)).toThrow(TokenChainError);
        });
        expect(theirs.used).toBe(false);
        victim.reset(theirs);
        expect(victim.get()).toBe('secret');
      }),
    );
    proxy.send({ type: 'abort', error: new Error('closed') });
  });

  const damage = fc.array(
    fc.oneof(
      { weight: 2, arbitrary: fc.constant(undefined) },
      { weight: 3, arbitrary: fc.tuple(fc.nat(3), fc.nat(), bytes) },
    ),
    { minLength: 1, maxLength: 12 },
  );

  /** Also values that are none, and keys that name what objects have. */
  const crafted = fc.array(
    fc.record({
      fields: context,
      tokens: fc.array(fc.tuple(fc.nat(5), fc.nat(2)), { maxLength: 4 }),
      own: fc.array(
        fc.tuple(
          fc.constantFrom('first', 'second', 'victim'),
          fc.oneof(
            bytes,
            fc.jsonValue().map((value) => encodeAlone(value, 'value')),
          ),
        ),
        { maxLength: 3 },
      ),
      keepsChain: fc.boolean(),
    }),
    { minLength: 1, maxLength: 8 },
  );

  describe.each(['worker', 'caller'] as const)('to the %s', (towards) => {
    test('by chance', async () => {
      await fc.assert(
        fc.asyncProperty(damage, async (list) => {
          let count = 0;
          await check((packet) => {
            const change = list[count++ % list.length];
            if (change === undefined) return packet;
            const [kind, at, filling] = change;
            const spoilt = Array.from(packet);
            const place = at % (spoilt.length + 1);
            if (kind === 0) spoilt.splice(place);
            else if (kind === 1) spoilt.splice(place, filling.length, ...filling);
            else if (kind === 2) spoilt.splice(place, 0, ...filling);
            else spoilt.splice(place, filling.length);
            return Uint8Array.from(spoilt);
          }, towards);
        }),
        { numRuns: 120 },
      );
    });

    test('on purpose', async () => {
      await fc.assert(
        fc.asyncProperty(crafted, async (list) => {
          const ids = new Set<string>();
          let count = 0;
          await check((packet) => {
            const received = decodeContext(packet);
            for (const { id } of received.tokens) ids.add(id);
            const craft = list[count++ % list.length];
            if (craft === undefined) return packet;
            const { fields, tokens, own, keepsChain } = craft;
            // All that came, so that values find their tokens, and in other states; then what is made up.
            const known = [...ids];
            const named = tokens.map(([which, state]) => ({
              id: known[which % Math.max(1, known.length)] ?? 'none',
              namespace,
              name: 'victim',
              state,
            }));
            return written({
              chain: keepsChain ? received.chain : fields.chain,
              whole: fields.whole,
              variables: [
                ...fields.variables,
                ...own.map(([name, value]) => ({ namespace, name, value: value as Uint8Array })),
              ] as never,
              tokens: [...received.tokens, ...named, ...fields.tokens] as never,
              spent: [...fields.spent, ...known],
            });
          }, towards);
        }),
        { numRuns: 120 },
      );
    });
  });
});

import { afterEach, describe, expect, test, vi } from 'vitest';
import { createActor, fromCallback } from 'xstate';
import { createLightActor } from '../../src/actors/actor.ts';
import { defineChart, toLogic } from '../../src/actors/statechart.ts';
import { inspectorOf } from '../../src/actors/steps.ts';
import { WorkerPool } from '../../src/index.ts';
import { consoleLogger, type Logger, logLevel, RuntimeLog } from '../../src/logger.ts';

/** As pino declares them. */
interface LogFn {
  <T, M extends string = string>(
    obj: T,
    msg?: T extends string ? never : M,
    ...args: unknown[]
  ): void;
  (msg: string, ...args: unknown[]): void;
}

interface Line {
  readonly level: string;
  readonly fields: object;
  readonly message: string;
}

function recorder(): Logger & { readonly lines: Line[] } {
  const lines: Line[] = [];
  const at = (level: string) => (fields: object, message: string) => {
    lines.push({ level, fields, message });
  };
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('SKEIN_LOG', () => {
  test.each(['trace', 'debug', 'info', 'warn', 'error', 'silent'])('may be %s', (level) => {
    expect(logLevel(level)).toBe(level);
  });

  test.each([undefined, ''])("is 'warn' when it is %j", (setting) => {
    expect(logLevel(setting)).toBe('warn');
  });

  test.each(['verbose', 'DEBUG', 'debug '])(
    'is refused when it is %j, with what it may be',
    async (setting) => {
      vi.stubEnv('SKEIN_LOG', setting);
      await expect(WorkerPool.open({ size: 1 })).rejects.toThrow(
        `SKEIN_LOG is ${JSON.stringify(setting)}: it can be trace, debug, info, warn, error, silent`,
      );
    },
  );
});

describe('a logger', () => {
  test('may be one of pino', () => {
    const log: LogFn = () => {};
    const pino: Logger = { trace: log, debug: log, info: log, warn: log, error: log };
    expect(pino).toBeDefined();
  });

  test.each([
    [{}, 'debug'],
    [null, 'debug'],
    [{ debug() {}, info() {}, warn() {} }, 'error'],
  ])('without its methods is refused: %j', async (logger, method) => {
    const open = WorkerPool.open({ size: 1, logger: logger as never });
    await expect(open).rejects.toThrow(`it lacks ${method}`);
  });

  test('for the console prints from its level on', () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => {});
    const logger = consoleLogger('warn');
    logger.info({}, 'not that');
    logger.warn({ some: 'field' }, 'but that');
    expect(error.mock.calls).toEqual([['skein but that']]);
  });
});

describe('what the runtime has to say', () => {
  test('goes to the logger that was given', () => {
    const logger = recorder();
    new RuntimeLog(logger, 'silent').warn('careful', 'SkeinWarning');
    expect(logger.lines).toEqual([
      { level: 'warn', fields: { type: 'SkeinWarning' }, message: 'careful' },
    ]);
  });

  test('is a process warning without one, unless SKEIN_LOG says that nobody wants it', () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    new RuntimeLog(undefined, 'error').warn('nothing');
    new RuntimeLog(undefined, 'warn').warn('careful');
    expect(warned.mock.calls).toEqual([['careful', 'SkeinWarning']]);
  });

  test('is not lost in silence when the logger throws', () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const fail = () => {
      throw new Error('disk full');
    };
    const log = new RuntimeLog({ debug: fail, info: fail, warn: fail, error: fail }, 'warn');
    log.warn('first');
    log.warn('second');
    expect(warned).toHaveBeenCalledTimes(1);
    expect(warned.mock.calls[0]?.[0]).toMatch(/disk full.*first/);
  });
});

describe("the runtime's own steps", () => {
  interface DoorEvent {
    type: 'push' | 'look';
    why?: string;
  }
  const door = defineChart<null, DoorEvent>({
    id: 'door',
    initial: 'closed',
    context: () => null,
    states: {
      closed: { on: { push: { target: 'open' }, look: {} } },
      open: {},
    },
  });
  const logic = toLogic(door, {});

  /** A door below a root, and the log of what happens to it. */
  function rig() {
    const logger = recorder();
    const seen: string[] = [];
    const inspect = inspectorOf(new RuntimeLog(logger, 'debug'), (event) => seen.push(event.type));
    const root = createActor(
      fromCallback(() => {}),
      inspect && { inspect },
    ).start();
    const actor = createLightActor(logic, root, undefined, 'door a1b2c3d4e5f6');
    actor.start();
    return {
      actor,
      messages: () => logger.lines.map(({ message }) => message),
      seen,
    };
  }

  test('are lines of transitions to another state, with what led there', () => {
    const { actor, messages } = rig();
    actor.send({ type: 'look' });
    actor.send({ type: 'push', why: 'in a hurry' });
    expect(messages().filter((line) => line.startsWith('door'))).toEqual([
      'door a1b2c3d4: closed',
      'door a1b2c3d4: closed -> open (push: in a hurry)',
    ]);
  });

  test('leave an inspector of the user’s alone, and cost nothing when nobody wants them', () => {
    const { actor, seen } = rig();
    actor.send({ type: 'push' });
    expect(seen).toContain('@xstate.snapshot');
    expect(inspectorOf(new RuntimeLog(recorder(), 'info'))).toBeUndefined();
  });
});

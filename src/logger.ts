/** Where the runtime says what it does: a logger of the user's, or the process's own ways. */

/**
 * What takes the lines of a pool or worker: a logger of pino, or anything that has these methods.
 * One that throws is not asked to end the program: a process warning says so once.
 */
export interface Logger {
  /** The finest steps; those go to `debug` where it is missing. */
  trace?(fields: object, message: string): void;
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

export type LogLevel = (typeof LEVELS)[number];

/**
 * What the environment variable `SKEIN_LOG` says.
 *
 * @throws TypeError when it is no level
 */
export function logLevel(setting: string | undefined): LogLevel {
  if (setting === undefined || setting === '') return 'warn';
  const level = LEVELS.find((one) => one === setting);
  if (level !== undefined) return level;
  throw new TypeError(
    `the environment variable SKEIN_LOG is ${JSON.stringify(setting)}: it can be ${LEVELS.join(', ')}, or be left out, which is 'warn'`,
  );
}

/** Whether lines of a level are wanted where the least level is `least`. */
export function isWanted(level: LogLevel, least: LogLevel): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf(least);
}

/** A logger that prints the messages from `least` on to standard error, without their fields. */
export function consoleLogger(least: LogLevel = 'warn'): Logger {
  const print = (level: LogLevel) => (_fields: object, message: string) => {
    if (isWanted(level, least)) console.error(`skein ${message}`);
  };
  return {
    trace: print('trace'),
    debug: print('debug'),
    info: print('info'),
    warn: print('warn'),
    error: print('error'),
  };
}

/** @throws TypeError when it lacks a method of a logger */
export function checkLogger(logger: Partial<Logger> | null): void {
  for (const method of ['debug', 'info', 'warn', 'error'] as const) {
    if (typeof logger?.[method] === 'function') continue;
    throw new TypeError(
      `logger must have the methods debug, info, warn and error, as a logger of pino has; it lacks ${method}`,
    );
  }
}

/** What a pool or worker has to say, and to whom. */
export class RuntimeLog {
  /** The user's; undefined where none was given. */
  readonly #logger: Logger | undefined;
  readonly #console: Logger;
  readonly #level: LogLevel;
  #failed = false;

  constructor(logger: Logger | undefined, level: LogLevel) {
    this.#logger = logger;
    this.#console = consoleLogger(level);
    this.#level = level;
  }

  /** Whether there is a logger of the user's. */
  get isGiven(): boolean {
    return this.#logger !== undefined;
  }

  wants(level: LogLevel): boolean {
    return isWanted(level, this.#level);
  }

  /** Says something to the user's logger; without one on standard error, where the level is wanted. */
  write(level: Exclude<LogLevel, 'silent'>, fields: object, message: string): void {
    const logger = this.#logger ?? this.#console;
    const method = level === 'trace' && logger.trace === undefined ? 'debug' : level;
    try {
      logger[method]?.(fields, message);
    } catch (error) {
      this.#fail(error, message);
    }
  }

  /** Warns by the user's logger; without one by a process warning of this type. */
  warn(message: string, type = 'SkeinWarning'): void {
    if (this.#logger !== undefined) this.write('warn', { type }, message);
    else if (this.wants('warn')) process.emitWarning(message, type);
  }

  #fail(error: unknown, message: string): void {
    if (this.#failed) return;
    this.#failed = true;
    process.emitWarning(
      `the logger failed (${String(error)}), and will not be reported again. It was to take: ${message}`,
      'SkeinWarning',
    );
  }
}

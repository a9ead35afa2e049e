/** The command line: what can be given, and what it says about itself. */
import { Command, CommanderError } from 'commander';
import { VERSION } from '../transport/version.ts';
import { credentialOptions } from './credentials.ts';
import { EXIT } from './failure.ts';
import { natsOptions } from './nats.ts';
import {
  authkeyOption,
  DISCOVERIES,
  discoveryOption,
  port,
  several,
  time,
  whole,
} from './options.ts';

const EXIT_CODES = `Exit codes:
  0    done
  1    it failed: the routine threw, nobody answers, a port is taken
  2    an option, argument or file that makes no sense
  3    the authkey is wrong, or a certificate is missing, unreadable or no good
  130  ended by Ctrl-C; 143 by SIGTERM, 129 by SIGHUP`;

const ABOUT_KEYS = `Authkey:
  A secret that both sides have. It is proven, and never sent. Make one by
    openssl rand -base64 24 > key && chmod 600 key
  and give --authkey key, or the environment variable SKEIN_AUTHKEY, to workers, pools and callers.

Certificates:
  With --ca, --cert and --key, or the environment variables SKEIN_CA, SKEIN_CERT and SKEIN_KEY, all
  connections are encrypted, and both sides show who they are. Files that are replaced are read again.

NATS:
  Workers that can't be dialed, behind NAT or in another cloud, are reached over NATS servers: give
  --nats URL, or the environment variable SKEIN_NATS, which shows a password to nobody. It needs the
  package @nats-io/transport-node.`;

/** Runs a command, and resolves to the exit code. What it needs is loaded then. */
export interface Commands {
  worker(flags: object): Promise<number>;
  up(flags: object): Promise<number>;
  /** In the background, after `up`. */
  supervise(): Promise<number>;
  down(flags: object): Promise<number>;
  list(flags: object): Promise<number>;
  ping(flags: object): Promise<number>;
  run(module: string, routine: string, args: string[], flags: object): Promise<number>;
}

/** Reads the command line, runs what it says, and resolves to the exit code. */
export async function runProgram(argv: readonly string[], commands: Commands): Promise<number> {
  let code = 0;
  const take = async (running: Promise<number>) => {
    code = await running;
  };
  const program = new Command('skein')
    .description('Workers, pools and calls of Skein: a distributed actor runtime.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .exitOverride()
    .showHelpAfterError('(add --help for what there is)')
    .addHelpText('after', `\n${ABOUT_KEYS}\n\n${EXIT_CODES}`);
  addWorker(program, (flags) => take(commands.worker(flags)));
  addPool(program, commands, take);
  program
    .command('ping')
    .description('Ask whether a durable pool is there.')
    .addHelpText('after', examples('skein ping', 'skein ping --host build-1 --authkey key'));
  atPool(program.commands.at(-1) as Command, 'where the pool answers')
    .option('--json', 'print the answer as JSON')
    .action((flags) => take(commands.ping(flags)));
  addRun(program, (...given) => take(commands.run(...given)));
  for (const command of program.commands) inherit(command, program);
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : EXIT.usage;
  }
  return code;
}

/** Subcommands of commands that were added before know nothing of the program's settings. */
function inherit(command: Command, program: Command): void {
  command.copyInheritedSettings(program);
  for (const child of command.commands) inherit(child, program);
}

function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}

/** Where a durable pool answers. */
function atPool(command: Command, what: string): Command {
  command
    .option('--host <host>', `${what} (default: 127.0.0.1)`)
    .option('--port <port>', 'its port (default: 7411)', port);
  return trusted(command);
}

/** How the two sides know each other. */
function trusted(command: Command): Command {
  for (const option of [authkeyOption(), ...credentialOptions()]) command.addOption(option);
  return command;
}

/** How workers are reached over NATS. */
function overNats(command: Command, what: string): Command {
  for (const option of natsOptions(what)) command.addOption(option);
  return command;
}

/** What workers can be told. */
function ofWorkers(command: Command): Command {
  overNats(command, 'NATS servers that workers are reached over, and on no port without --host')
    .option('--tag <tag>', 'label for pools and balancers to choose by; can be repeated', several)
    .option('--module <module>', 'module to load at the start; can be repeated', several)
    .option('--root <folder>', 'below which callers can have modules loaded (default: here)')
    .addOption(discoveryOption('where workers are announced, and find each other; see below'))
    .option('--concurrency <n>', 'tasks that a worker runs at a time (default: no limit)', whole(1))
    .option('--allow-inline', 'run functions that callers send, and not only those of modules')
    .option('--hide-stacks', 'leave stacks, and paths of this machine, out of errors for callers')
    .option(
      '--authorize <name>',
      'take calls only of who has this name in its certificate; can be repeated',
      several,
    )
    .option(
      '--grace <time>',
      'how long tasks may go on when it ends, as 10s (default: no limit)',
      time,
    );
  return trusted(command);
}

function addWorker(program: Command, run: (flags: object) => Promise<void>): void {
  const command = program.command('worker').description('Run one worker in the foreground.');
  ofWorkers(
    command
      .option(
        '--host <host>',
        'where it listens (default: what discovery needs, or 127.0.0.1; with local:NAME a socket)',
      )
      .option('--port <port>', 'its port (default: any that is free)', port)
      .option('--beat-port <port>', 'where it shows that it lives while a task blocks it', port),
  )
    .option('--json', 'print what is announced of it as JSON')
    .addHelpText(
      'after',
      examples(
        'skein worker --discovery local:my-app --module src/routines.ts',
        'skein worker --discovery lan --authkey key --tag gpu',
        'skein worker --host 0.0.0.0 --port 7500 --authkey key',
        'skein worker --host 0.0.0.0 --ca ca.pem --cert worker.pem --key worker.key',
        'skein worker --nats nats://10.0.0.7 --discovery nats:my-app --authkey key',
      ),
    )
    .addHelpText('after', `\n${DISCOVERIES}`)
    .action(run);
}

function addPool(
  program: Command,
  commands: Commands,
  take: (running: Promise<number>) => Promise<void>,
): void {
  const pool = program
    .command('pool')
    .description('Durable pools: workers that outlive programs, and are replaced when they die.');
  const up = pool.command('up').description('Start a pool, and keep its workers running.');
  ofWorkers(
    up
      .option('--host <host>', 'where it and its workers listen (default: 127.0.0.1)')
      .option('--port <port>', 'where it answers (default: 7411)', port)
      .option('--breadth <n>', 'how many workers (default: one for each CPU)', whole(1, 10_000)),
  )
    .option('--detach', 'leave it in the background')
    .addHelpText(
      'after',
      examples(
        'skein pool up --breadth 4 --module src/routines.ts',
        'skein pool up --host 0.0.0.0 --authkey key --detach',
        'skein pool up --nats nats://10.0.0.7 --discovery nats:my-app --authkey key',
      ),
    )
    .addHelpText('after', `\n${DISCOVERIES}`)
    .action((flags) => take(commands.up(flags)));
  pool.command('supervise', { hidden: true }).action(() => take(commands.supervise()));
  atPool(
    pool
      .command('down')
      .description('End a pool and its workers. Tasks that run may come to an end.'),
    'where the pool answers',
  )
    .option(
      '--wait <time>',
      'how long tasks may go on, as 10s; 0 for not at all (default: no limit)',
      time,
    )
    .addHelpText('after', examples('skein pool down', 'skein pool down --wait 30s --authkey key'))
    .action((flags) => take(commands.down(flags)));
  atPool(pool.command('ls').description('List the workers of a pool.'), 'where the pool answers')
    .option('--json', 'print them as JSON, one array')
    .addHelpText('after', examples('skein pool ls', 'skein pool ls --json --authkey key'))
    .action((flags) => take(commands.list(flags)));
}

function addRun(
  program: Command,
  run: (module: string, routine: string, args: string[], flags: object) => Promise<void>,
): void {
  const command = program
    .command('run')
    .description('Run one routine, and print what it gives: a generator line by line.')
    .argument('<module>', 'file that makes the routine')
    .argument('<routine>', 'its name')
    .argument('[args...]', 'what it is called with, each as JSON');
  command
    .option('--host <host>', 'run it on the durable pool that answers there')
    .option('--port <port>', 'the port of that pool (default: 7411)', port)
    .addOption(discoveryOption('run it on a worker that is found; see below'))
    .option('--tag <tag>', 'which a worker must have; can be repeated', several)
    .option('--timeout <time>', 'how long it may take, as 10s (default: no limit)', time);
  overNats(command, 'NATS servers that workers are reached over');
  trusted(command)
    .option('--json', 'print JSON, a line for each value')
    .addHelpText(
      'after',
      `\nWithout --host, --port and --discovery it runs on a worker of its own, whose output goes to standard error.\n${examples(
        'skein run src/routines.ts add 1 2',
        `skein run src/routines.ts greet '"you"'`,
        'skein run src/routines.ts squares 10 --discovery local:my-app | head -3',
        'skein run src/routines.ts add 1 2 --nats nats://10.0.0.7 --discovery nats:my-app',
      )}`,
    )
    .addHelpText('after', `\n${DISCOVERIES}`)
    .action((module, routine, args, flags) => run(module, routine, args, flags));
}

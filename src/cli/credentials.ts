/** Where the command takes certificates from: files, which the environment may name. */
import { Option } from 'commander';
import { CredentialsError } from '../errors.ts';
import { type CredentialsProvider, WorkerCredentials } from '../security/credentials.ts';
import { checkNamesOf } from '../worker/authorize.ts';
import { checked, EXIT, Failure, usage } from './failure.ts';

export interface CredentialFlags {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly oneWay?: boolean;
  readonly tlsIdentity?: string;
}

export const credentialOptions = (): Option[] => [
  new Option(
    '--ca <file>',
    'certificates of who vouches for the other side: TLS or nothing (default: $SKEIN_CA, or none)',
  ),
  new Option('--cert <file>', 'own certificate, in PEM as all three (default: $SKEIN_CERT)'),
  new Option('--key <file>', 'key of this certificate (default: $SKEIN_KEY)'),
  new Option('--one-way', 'callers show no certificate, only workers and pools do'),
  new Option(
    '--tls-identity <name>',
    'name in the certificates of workers and pools (default: $SKEIN_TLS_IDENTITY, or where they are dialed)',
  ),
];

/** Who may call, by its certificate. */
export interface AuthorizeFlags extends CredentialFlags {
  readonly authorize?: readonly string[];
}

/**
 * The names of those who may call, if not everyone may whose certificate is valid.
 *
 * @param isOverNats whether callers come over NATS, where they show no certificate to the worker
 * @throws Failure when there are no certificates to have names
 */
export function authorizedOf(
  flags: AuthorizeFlags,
  credentials: unknown,
  isOverNats: boolean,
): readonly string[] | undefined {
  const { authorize, oneWay } = flags;
  if (authorize === undefined) return undefined;
  const why = '--authorize goes by the certificates of callers';
  if (credentials === undefined) throw usage(`${why}: give --ca, --cert and --key, too`);
  if (oneWay) throw usage(`${why}: leave out --one-way, which asks them for none`);
  if (isOverNats)
    throw usage(`${why}, and over NATS there are none: leave out --nats (SKEIN_NATS)`);
  checked('--authorize', () => checkNamesOf(authorize));
  return authorize;
}

/**
 * The certificates, if there are to be some; they are read again when the files were replaced.
 *
 * @throws Failure when they are not good
 */
export function credentialsOf(
  flags: CredentialFlags,
  environment: NodeJS.ProcessEnv = process.env,
): CredentialsProvider | undefined {
  const ca = flags.ca ?? (environment.SKEIN_CA || undefined);
  if (ca === undefined) {
    const lone = credentialOptions()
      .filter((option) => flags[option.attributeName() as keyof CredentialFlags] !== undefined)
      .map((option) => option.long);
    if (lone.length === 0) return undefined;
    throw usage(`${lone[0]} is of no use without --ca, or the environment variable SKEIN_CA`);
  }
  const cert = flags.cert ?? (environment.SKEIN_CERT || undefined);
  const key = flags.key ?? (environment.SKEIN_KEY || undefined);
  const identity = flags.tlsIdentity ?? (environment.SKEIN_TLS_IDENTITY || undefined);
  try {
    return WorkerCredentials.watchFiles({ ca, cert, key, mutual: !flags.oneWay, identity });
  } catch (error) {
    if (!(error instanceof CredentialsError || error instanceof TypeError)) throw error;
    const code = error instanceof CredentialsError ? EXIT.untrusted : EXIT.usage;
    throw new Failure(`--ca, --cert, --key: ${inFlags(error.message)}`, code);
  }
}

/** What is said of options of programs, of those here. */
function inFlags(message: string): string {
  return message.replace('unless mutual is false', 'unless there is --one-way');
}

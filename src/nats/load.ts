/** NATS's client, which who does not use it does not install. */

export type NatsClient = typeof import('@nats-io/transport-node');

const PACKAGE = '@nats-io/transport-node';

/** @throws Error that says what to install */
export async function loadNats(): Promise<NatsClient> {
  try {
    return await import('@nats-io/transport-node');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // Another package may be missing that this one needs: then its own words say more.
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes(`'${PACKAGE}'`)) throw error;
    throw new Error(`skein/nats needs the package ${PACKAGE}: npm install ${PACKAGE}`);
  }
}

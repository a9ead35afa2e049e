import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { ContextVar, fork, withDispatch } from '../../../src/index.ts';
import { type Group, outside } from './row.ts';

const place = new ContextVar<string>('place', { default: 'nowhere' });

async function setLate(value: string): Promise<void> {
  await turn();
  place.set(value);
}

async function setEarly(value: string): Promise<void> {
  place.set(value);
  await turn();
}

/** Lets a server have one connection. */
async function serve(handle: () => void): Promise<void> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(server, 'connection');
  client.destroy();
  server.close();
}

export const chains: Group = {
  title: 'Chains',
  rows: [
    {
      id: 'C01',
      situation: 'an awaited function sets, behind an `await` of its own',
      python: 'its caller sees it',
      here: 'the same (with a bare `AsyncLocalStorage.enterWith` it does not)',
      async run() {
        await setLate('callee');
        return place.get();
      },
      gives: 'callee',
    },
    {
      id: 'C02',
      situation: 'a flow of its own: `create_task(f())`, `fork(f)`',
      python: 'has a copy; from then on neither sees what the other sets',
      here: 'the same',
      async run() {
        place.set('before');
        let go = () => {};
        const gate = new Promise<void>((resolve) => {
          go = resolve;
        });
        const forked = fork(async () => {
          await gate;
          const seen = place.get();
          place.set('fork');
          return seen;
        });
        place.set('after');
        go();
        return [await forked, place.get()];
      },
      gives: ['before', 'after'],
    },
    {
      id: 'C03',
      situation: 'local functions side by side: `gather(f(), g())`, `Promise.all([f(), g()])`',
      python: 'each is a task, and has a copy',
      here: 'they share the chain: write `fork(f)`, `fork(g)`',
      async run() {
        await Promise.all([setLate('shared')]);
        const seen = place.get();
        await Promise.all([fork(() => setLate('forked'))]);
        return [seen, place.get()];
      },
      gives: ['shared', 'shared'],
    },
    {
      id: 'C04',
      situation: 'a callback for later (`call_soon`, `setImmediate`) sets',
      python: 'in a copy',
      here: 'in the chain of who asked for it, and it is seen there',
      async run() {
        setImmediate(() => place.set('callback'));
        await turn();
        return place.get();
      },
      gives: 'callback',
    },
    {
      id: 'C05',
      situation: 'the handler of a server sets',
      python: 'each connection is a task, and has a copy',
      here: 'they share the chain that the server was started in: write `fork(handler)`',
      async run() {
        await serve(() => place.set('handler'));
        const seen = place.get();
        await serve(() => fork(() => place.set('in vain')));
        return [seen, place.get()];
      },
      gives: ['handler', 'handler'],
    },
    {
      id: 'C06',
      situation: 'the first `set` outside of any chain, in an awaited function',
      python: 'its caller sees it: there is always a context',
      here: 'its caller sees it only if it comes before the first `await` of that function; start with `fork`',
      run: async () => [
        await outside(async () => {
          await setEarly('early');
          return place.get();
        }),
        await outside(async () => {
          await turn();
          await setLate('late');
          return place.get();
        }),
        await outside(() =>
          fork(async () => {
            await setLate('forked');
            return place.get();
          }),
        ),
      ],
      gives: ['early', 'nowhere', 'forked'],
    },
    {
      id: 'C07',
      situation: 'set inside of `pool.run(fn)` or `withDispatch(options, fn)`',
      python: 'a block has no context of its own (`with`)',
      here: 'seen behind it, if the code around it has a chain; otherwise it holds inside',
      run: async (pool) => {
        const visit = async () => {
          await pool.run(() => setLate('run'));
          const seen = place.get();
          await withDispatch({}, () => setLate('with'));
          return [seen, place.get()];
        };
        return [await visit(), await outside(visit)];
      },
      gives: [
        ['run', 'with'],
        ['nowhere', 'nowhere'],
      ],
    },
  ],
};

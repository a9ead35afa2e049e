import { once } from 'node:events';
import { ContextVar, routine, WorkerPool } from '../../../src/index.ts';
import { type Group, outcome } from './row.ts';

const sound = new ContextVar<string>('sound', { default: 'none' });
const unsound = new ContextVar<unknown>('unsound', { default: 'none' });

const look = routine(() => [sound.get(), unsound.get()]);

export const failures: Group = {
  title: 'Values that can not travel',
  rows: [
    {
      id: 'E01',
      situation: 'the value of a variable is a function',
      python: 'as any other value',
      here: 'left out, with a warning that names the variable; the call and the other values go on',
      async run() {
        const warned = once(process, 'warning');
        sound.set('value');
        unsound.set(() => {});
        const seen = await look();
        const [{ name, message }] = await warned;
        return [seen, name, message.includes('unsound')];
      },
      gives: [['value', 'none'], 'SkeinSerializationWarning', true],
    },
    {
      id: 'E02',
      situation: 'the same in a pool that is `strict`',
      python: undefined,
      here: 'the call fails with `ChainSerializationError`',
      async run() {
        await using pool = await WorkerPool.open({ size: 1, strict: true });
        unsound.set(() => {});
        return await outcome(() => look.on(pool)());
      },
      gives: 'ChainSerializationError',
    },
  ],
};

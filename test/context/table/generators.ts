import { ContextVar, fork, routine } from '../../../src/index.ts';
import { type Group, outcome } from './row.ts';

const step = new ContextVar<string>('step', { default: 'none' });

/** Yields what it sees, and sets another value; once more when it ends. */
const steps = routine(async function* (): AsyncGenerator<string, void, unknown> {
  try {
    for (let i = 1; ; i++) {
      const seen = step.get();
      step.set(`body ${i}`);
      yield seen;
    }
  } finally {
    step.set(`end, was ${step.get()}`);
  }
});

/** As a `with` block does: set before, reset behind. */
const around = routine(async function* () {
  const token = step.set('inside');
  try {
    yield step.get();
  } finally {
    step.reset(token);
  }
});

export const generators: Group = {
  title: 'Generators',
  rows: [
    {
      id: 'G01',
      situation: 'the body reads and sets in a step',
      python: 'it sees what whoever asks for the step has, who sees what it set',
      here: 'the same',
      async run() {
        const iterator = steps();
        step.set('asker');
        const first = (await iterator.next()).value;
        const between = step.get();
        step.set('asker again');
        const second = (await iterator.next()).value;
        const after = step.get();
        await iterator.return();
        return [first, between, second, after];
      },
      gives: ['asker', 'body 1', 'asker again', 'body 2'],
    },
    {
      id: 'G02',
      situation: 'two flows ask the same generator in turn',
      python: 'each step sees, and changes, the state of its own asker',
      here: 'the same',
      async run() {
        const iterator = steps();
        step.set('one');
        const ask = async () => [(await iterator.next()).value, step.get()];
        const first = await ask();
        const two = await fork(async () => {
          step.set('two');
          return await ask();
        });
        const again = await ask();
        await fork(() => iterator.return());
        return [first, two, again, step.get()];
      },
      gives: [['one', 'body 1'], ['two', 'body 2'], ['body 1', 'body 3'], 'body 3'],
    },
    {
      id: 'G03',
      situation: '`break` in the loop; `finally` of the body sets',
      python: 'runs later, in a task of the event loop: not seen (with `aclose()` it is)',
      here: 'the loop awaits it: seen',
      async run() {
        for await (const _ of steps()) break;
        return step.get();
      },
      gives: 'end, was body 1',
    },
    {
      id: 'G04',
      situation: 'set before a `yield`, and reset with the token behind it',
      python: 'works, if one flow asks for both steps; else `ValueError`',
      here: 'the same, if no other call of the flow is out meanwhile; else `TokenChainError`',
      async run() {
        const seen: unknown[] = [];
        for await (const inside of around()) seen.push(inside, step.get());
        seen.push(step.get());
        const iterator = around();
        await iterator.next();
        seen.push(await fork(() => outcome(() => iterator.next())));
        return seen;
      },
      gives: ['inside', 'inside', 'none', 'TokenChainError'],
    },
  ],
};

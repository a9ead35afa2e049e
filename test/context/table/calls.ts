import { setImmediate as turn } from 'node:timers/promises';
import { ContextVar, currentTask, fork, routine, withDispatch } from '../../../src/index.ts';
import { type Group, outcome } from './row.ts';

const state = new ContextVar<string>('state', { default: 'none' });
const other = new ContextVar<string>('other', { default: 'none' });

/** Sets it, and says what it was. */
const put = routine(async (value: string) => {
  const before = state.get();
  state.set(value);
  await turn();
  return before;
});
const putOther = routine((value: string) => {
  other.set(value);
});
const putAndThrow = routine(async (value: string) => {
  state.set(value);
  throw new RangeError('after the set');
});
const putBelow = routine(async (depth: number): Promise<string[]> => {
  const seen = state.get();
  const below = depth > 0 ? await putBelow(depth - 1) : [];
  state.set(`${state.get()}<${depth}`);
  return [seen, ...below];
});
/** Whether what it sets is what it sees, after others had their turn. */
const keeps = routine(async (value: string) => {
  state.set(value);
  for (let i = 0; i < 5; i++) await turn();
  return state.get() === value;
});
const putAndHang = routine(async (value: string) => {
  state.set(value);
  const { signal } = currentTask() as { signal: AbortSignal };
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
});
const putAndDie = routine((value: string) => {
  state.set(value);
  process.exit(1);
});

let left: Promise<void> | undefined;
const leaveBehind = routine(() => {
  left = turn().then(() => {
    state.set('left behind');
  });
});
/** Whether this worker has done what was left behind. */
const isDone = routine(async () => {
  await left;
  return left !== undefined;
});

export const calls: Group = {
  title: 'Calls',
  rows: [
    {
      id: 'R01',
      situation: 'an awaited callee reads and sets',
      python: "it sees the caller's value, and the caller sees its value",
      here: 'the same, with the callee on a worker',
      async run() {
        state.set('caller');
        return [await put('callee'), state.get()];
      },
      gives: ['caller', 'callee'],
    },
    {
      id: 'R02',
      situation: 'the callee sets, and raises',
      python: 'the caller sees what it set',
      here: 'the same',
      run: async () => [await outcome(() => putAndThrow('callee')), state.get()],
      gives: ['RangeError', 'callee'],
    },
    {
      id: 'R03',
      situation: 'the callee awaits callees of its own',
      python: 'all see one state, down and up',
      here: 'the same, from worker to worker',
      async run() {
        state.set('top');
        return [await putBelow(2), state.get()];
      },
      gives: [['top', 'top', 'top'], 'top<0<1<2'],
    },
    {
      id: 'R04',
      situation: 'many callees at a time in one process',
      python: 'as tasks: none sees what another sets',
      here: 'the same',
      async run() {
        const kept = await Promise.all(Array.from({ length: 40 }, (_, i) => keeps(`${i}`)));
        return [kept.every(Boolean), state.get()];
      },
      gives: [true, 'none'],
    },
    {
      id: 'R05',
      situation: 'callees side by side: `gather(a(), b())`, `Promise.all([a(), b()])`',
      python: 'each sees the state as it was, and nothing comes back',
      here: 'the same; the next awaited call brings its changes back again',
      async run() {
        state.set('before');
        const seen = await Promise.all([put('a'), put('b')]);
        return [seen, state.get(), await put('c'), state.get()];
      },
      gives: [['before', 'before'], 'before', 'before', 'c'],
    },
    {
      id: 'R06',
      situation: 'a callee is started, and another one awaited meanwhile',
      python: '`t = create_task(a()); await b()`: what `b` sets comes back',
      here: 'two calls that overlap are both forks; with `fork(() => a())` as in Python',
      async run() {
        const a = put('a');
        await putOther('b');
        await a;
        const plain = [state.get(), other.get()];
        const forked = fork(() => put('a'));
        await putOther('b');
        await forked;
        return [plain, [state.get(), other.get()]];
      },
      gives: [
        ['none', 'none'],
        ['none', 'b'],
      ],
    },
    {
      id: 'R07',
      situation: 'the caller sets while the callee is out',
      python: 'the callee, a task, has a copy, and brings nothing back',
      here: 'the same: the set in the caller stays, and the call brings nothing back',
      async run() {
        const a = putOther('callee');
        state.set('caller');
        await a;
        return [state.get(), other.get()];
      },
      gives: ['caller', 'none'],
    },
    {
      id: 'R08',
      situation: 'the caller sets between the call and its `await`',
      python: 'a coroutine has not begun then, and sees it',
      here: 'a call begins when it is made, and does not',
      async run() {
        const call = put('callee');
        state.set('between');
        return await call;
      },
      gives: 'none',
    },
    {
      id: 'R09',
      situation: 'the callee sets, and its time runs out',
      python: 'the caller sees what it set (`asyncio.timeout`)',
      here: 'nothing comes back from a call that was cancelled or timed out',
      run: async () => [
        await outcome(() => withDispatch({ timeout: 50 }, () => putAndHang('callee'))),
        state.get(),
      ],
      gives: ['DispatchTimeout', 'none'],
    },
    {
      id: 'R10',
      situation: 'the process of the callee dies',
      python: undefined,
      here: '`WorkerLost`, and nothing comes back',
      run: async () => [await outcome(() => putAndDie('callee')), state.get()],
      gives: ['WorkerLost', 'none'],
    },
    {
      id: 'R11',
      situation: 'the callee leaves something running that sets later',
      python: 'a task has a copy: nobody sees it',
      here: 'nobody sees it, once the callee has answered',
      async run() {
        await leaveBehind();
        while (!(await isDone())) await turn();
        return state.get();
      },
      gives: 'none',
    },
  ],
};

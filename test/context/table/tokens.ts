import { ContextVar, fork, routine, type Token } from '../../../src/index.ts';
import { type Group, outcome } from './row.ts';

const item = new ContextVar<string>('item', { default: 'none' });
const second = new ContextVar<string>('second', { default: 'none' });
const kept = new ContextVar<Token<string>>('kept');

type Any = Token<string>;

const resetThere = routine((token: Any) => outcome(() => token.var.reset(token)));
const setThere = routine((value: string) => item.set(value));
const giveBack = routine((token: Any) => token);
const resetKept = routine(() => outcome(() => item.reset(kept.get())));
const die = routine((_token: Any) => process.exit(1));
const take = routine((_token: Any, _more: unknown) => {});

const reset = (token: unknown, variable = item) => outcome(() => variable.reset(token as Any));

export const tokens: Group = {
  title: 'Tokens',
  rows: [
    {
      id: 'T01',
      situation: '`reset(token)`',
      python: 'puts the old value back, or none (`token.old_value` is `Token.MISSING`)',
      here: 'the same (`token.oldValue` is `undefined`, `token.wasSet` is `false`)',
      run() {
        const one = item.set('one');
        const two = item.set('two');
        const seen = [one.wasSet, one.oldValue, two.wasSet, two.oldValue];
        item.reset(two);
        seen.push(item.get());
        item.reset(one);
        return [...seen, item.get()];
      },
      gives: [false, undefined, true, 'one', 'one', 'none'],
    },
    {
      id: 'T02',
      situation: 'a token is used twice, the second time with another variable',
      python: '`RuntimeError`: used is what counts first',
      here: '`TokenUsedError`, first, too',
      run() {
        const token = item.set('value');
        return [reset(token), reset(token), reset(token, second)];
      },
      gives: ['ok', 'TokenUsedError', 'TokenUsedError'],
    },
    {
      id: 'T03',
      situation: 'with another variable; in a flow of its own, too',
      python: '`ValueError`',
      here: '`TokenVariableError`',
      run() {
        const token = item.set('value');
        return [reset(token, second), fork(() => reset(token, second)), reset(token)];
      },
      gives: ['TokenVariableError', 'TokenVariableError', 'ok'],
    },
    {
      id: 'T04',
      situation: 'with something that is no token',
      python: '`TypeError`',
      here: '`TypeError`',
      run: () => [reset(undefined), reset({ var: item })],
      gives: ['TypeError', 'TypeError'],
    },
    {
      id: 'T05',
      situation: 'in another flow than the one that set',
      python: '`ValueError`; it can still be used at home',
      here: '`TokenChainError`; the same',
      run() {
        const token = item.set('value');
        return [fork(() => reset(token)), item.get(), reset(token), item.get()];
      },
      gives: ['TokenChainError', 'value', 'ok', 'none'],
    },
    {
      id: 'T06',
      situation: 'the awaited callee resets a token that it was given',
      python: 'works, and the token is used for its caller, too',
      here: 'the same',
      async run() {
        const token = item.set('value');
        return [await resetThere(token), item.get(), token.used, reset(token)];
      },
      gives: ['ok', 'none', true, 'TokenUsedError'],
    },
    {
      id: 'T07',
      situation: 'the awaited callee sets, and returns the token',
      python: 'the caller can reset it',
      here: 'the same',
      async run() {
        item.set('caller');
        const token = await setThere('callee');
        const seen = [item.get(), token.oldValue];
        return [...seen, reset(token), item.get()];
      },
      gives: ['callee', 'caller', 'ok', 'caller'],
    },
    {
      id: 'T08',
      situation: 'callees side by side set, and return their tokens',
      python: '`ValueError`: these belong to tasks that are over',
      here: '`TokenChainError`',
      async run() {
        const [a, b] = await Promise.all([setThere('a'), setThere('b')]);
        return [reset(a), reset(b)];
      },
      gives: ['TokenChainError', 'TokenChainError'],
    },
    {
      id: 'T09',
      situation: 'a token goes to a flow of its own, and comes back',
      python: '`ValueError` there; it comes back as the same object, and can be used',
      here: '`TokenChainError` there; the same',
      async run() {
        const token = item.set('value');
        const there = await fork(() => resetThere(token));
        return [there, (await giveBack(token)) === token, reset(token)];
      },
      gives: ['TokenChainError', true, 'ok'],
    },
    {
      id: 'T10',
      situation: 'a token is used while a callee has it',
      python: 'works: the callee, a task, can not use it',
      here: '`ChainContention`: the callee can; with `fork(() => a(token))` as in Python',
      async run() {
        const token = item.set('value');
        const out = giveBack(token);
        const contended = reset(token);
        await out;
        const forked = fork(() => giveBack(token));
        const free = reset(token);
        await forked;
        return [contended, free];
      },
      gives: ['ChainContention', 'ok'],
    },
    {
      id: 'T11',
      situation: 'a callee resets a token that it has, while another one is out, too',
      python: 'as tasks, none of them can: `ValueError`',
      here: 'the first can, and the token is used; but its changes do not come back',
      async run() {
        const token = item.set('value');
        const seen = await Promise.all([resetThere(token), resetThere(token)]);
        // The second knows that it is used where both have run in one process, one after the other.
        return [seen[0], seen[1] !== 'ok', item.get(), reset(token)];
      },
      gives: ['ok', true, 'value', 'TokenUsedError'],
    },
    {
      id: 'T12',
      situation: 'the process that has a token dies',
      python: undefined,
      here: 'the token counts as used: `TokenUsedError` says why. Where the call surely never began, it is free',
      async run() {
        const token = item.set('value');
        const unsent = await outcome(() => take(token, Symbol('no value')));
        const stillFree = !token.used;
        return [unsent, stillFree, await outcome(() => die(token)), reset(token)];
      },
      gives: ['SerializationError', true, 'WorkerLost', 'TokenUsedError'],
    },
    {
      id: 'T13',
      situation: 'a token is the value of another variable',
      python: 'an awaited callee can reset it',
      here: 'the same',
      async run() {
        const token = item.set('value');
        kept.set(token);
        return [await resetKept(), item.get(), kept.get() === token, reset(token)];
      },
      gives: ['ok', 'none', true, 'TokenUsedError'],
    },
    {
      id: 'T14',
      situation:
        'a token is copied or written down (`pickle`, `JSON.stringify`, `structuredClone`)',
      python: '`TypeError`',
      here: '`TypeError`, of `structuredClone` and `postMessage` `DataCloneError`; it crosses in calls only',
      run() {
        const token = item.set('value');
        const { port1 } = new MessageChannel();
        const clone = () => outcome(() => structuredClone({ token }));
        const post = () => outcome(() => port1.postMessage(token));
        const seen = [outcome(() => JSON.stringify({ token })), clone(), post()];
        port1.close();
        return seen;
      },
      gives: ['TypeError', 'DOMException', 'DOMException'],
    },
  ],
};

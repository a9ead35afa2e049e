import { ContextVar, routine } from '../../../src/index.ts';
import { type Group, outcome } from './row.ts';

const plain = new ContextVar<string>('plain');
const defaulted = new ContextVar<string>('defaulted', { default: 'default' });
const list = new ContextVar<string[]>('list');
const alias = new ContextVar<string[]>('alias');

const read = routine((variable: ContextVar<string>) => [variable === plain, variable.get()]);

/** Declared by nobody before this runs. */
const lateVariable = () => new ContextVar<string>('late', { namespace: 'of a module not loaded' });
const relay = routine(async () => await readLate());
const readLate = routine(() => lateVariable().get());

const push = routine(() => {
  list.get().push('pushed');
});
const setPushed = routine(() => {
  list.set([...list.get(), 'set']);
});
const isOne = routine(() => list.get() === alias.get());

export const variables: Group = {
  title: 'Variables',
  rows: [
    {
      id: 'V01',
      situation: 'what `get` gives',
      python: 'the value, else the argument, else the default; else `LookupError`',
      here: 'the same; else `ContextVarUnset`',
      run() {
        const before = [defaulted.get('argument'), defaulted.get(), outcome(() => plain.get())];
        defaulted.set('value');
        return [...before, defaulted.get('argument')];
      },
      gives: ['argument', 'default', 'ContextVarUnset', 'value'],
    },
    {
      id: 'V02',
      situation: 'one name is declared twice',
      python: 'two variables; a name is for printing only',
      here: 'one variable: namespace and name are what it is',
      run() {
        const namespace = 'another';
        const again = new ContextVar<string>('plain');
        return [again === plain, new ContextVar('plain', { namespace }) === plain];
      },
      gives: [true, false],
    },
    {
      id: 'V03',
      situation: 'it is declared again with another default',
      python: 'as above: another variable',
      here: '`ContextVarCollision`',
      run: () => outcome(() => new ContextVar('defaulted', { default: 'other' })),
      gives: 'ContextVarCollision',
    },
    {
      id: 'V04',
      situation: 'a variable is sent as an argument',
      python: "can't be pickled: `TypeError`",
      here: "arrives as the worker's own; its value is the chain's",
      async run() {
        plain.set('value');
        return await read(plain);
      },
      gives: [true, 'value'],
    },
    {
      id: 'V05',
      situation: 'the worker has not declared a variable that is set',
      python: undefined,
      here: 'the value waits there, goes along with its calls, and applies once it is declared',
      async run() {
        lateVariable().set('value');
        return [await relay(), await readLate()];
      },
      gives: ['value', 'value'],
    },
    {
      id: 'V06',
      situation: 'the callee changes a value in its place',
      python: 'the caller sees it: it is one object',
      here: 'the caller does not; `set` it',
      async run() {
        list.set([]);
        await push();
        const seen = [...list.get()];
        await setPushed();
        return [seen, list.get()];
      },
      gives: [[], ['set']],
    },
    {
      id: 'V07',
      situation: 'two variables have one object as their value',
      python: 'it stays one',
      here: 'on the worker each has its own copy',
      async run() {
        const value: string[] = [];
        list.set(value);
        alias.set(value);
        return [list.get() === alias.get(), await isOne()];
      },
      gives: [true, false],
    },
  ],
};

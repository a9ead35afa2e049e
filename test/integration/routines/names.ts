/** The ways in which a routine may get its name. Each gives back the name that it should have. */
import * as skein from '../../../src/index.ts';
import { type Routine, routine } from '../../../src/index.ts';

async function ofFunction() {
  return 'ofFunction';
}

export const other = routine(ofFunction);

export const variable = routine(async () => 'variable');

const notExported = routine(async () => 'notExported');

export const typed: Routine<(x?: { a: number; b: string }) => Promise<string>> = routine(
  async () => 'typed',
);

export const severalLines: Routine<
  (options?: { a: number; b: (x: number) => Promise<string> }) => Promise<string>
> = routine(async () => 'severalLines');

// biome-ignore format: the call has to begin on a line of its own
export const onTheNextLine =
  routine(async () => 'onTheNextLine');

export const generic = routine<() => Promise<string>>(async () => 'generic');

export const commented = /* why: because */ routine(async () => 'commented');

export const inNamespace = skein.routine(async () => 'inNamespace');

// biome-ignore lint/style/useConst: an assignment is what is tested
export let assigned: Routine<() => Promise<string>>;
assigned = routine(async () => 'assigned');

export const object = {
  property: routine(async () => 'property'),
  // biome-ignore lint/complexity/useLiteralKeys: a name that has to be quoted
  ['quoted']: routine(async () => 'quoted', { name: 'quoted' }),
  'with-dash': routine(async () => 'with-dash'),
  deep: { er: routine(async () => 'er') },
};

// biome-ignore lint/complexity/noStaticOnlyClass: static fields are what is tested
export class Holder {
  static field = routine(async () => 'field');
  static readonly typedField: Routine<() => Promise<string>> = routine(async () => 'typedField');
}

export const explicit = routine(ofFunction, { name: 'ofOptions' });

export const [destructured] = [routine(async () => 'inList', { name: 'inList' })];

// biome-ignore lint/style/noDefaultExport: a name like others
export default routine(async () => 'default');

export const generator = routine(async function* ofGenerator() {
  yield 'ofGenerator';
});

export { notExported };

/** Made when it is called, where no worker finds it. */
export function makeLate() {
  const late = routine(async () => 'late');
  return late;
}

export function makeAnonymous() {
  return [routine(async () => 1)];
}

export const conditional: string extends number ? never : Routine<() => Promise<string>> = routine(
  async () => 'conditional',
);

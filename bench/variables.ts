/** Context variables, and what runs on skein's worker with them. */
import { ContextVar, routine, type Token } from 'skein';

export const variables = Array.from(
  { length: 10 },
  (_, i) => new ContextVar<string>(`variable ${i}`, { namespace: 'bench' }),
);

export const addReadingOne = routine(async (x: number, y: number) => {
  variables[0]!.get();
  return x + y;
});

export const addReadingAll = routine(async (x: number, y: number) => {
  for (const variable of variables) variable.get();
  return x + y;
});

export const take = routine(async (token: Token<string>) => token.used);

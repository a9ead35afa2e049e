/** What the calls that are compared have of context variables. */
export const NONE = 'no variables';
export const UNSET = 'declared, none set';
export const IN_RUN = 'none set, in pool.run';
export const ONE = '1 variable';
export const TEN = '10 variables';
export const READ_ONE = '10, one read there';
export const READ_ALL = '10, all read there';
export const CHANGING = '10, one set before each call';
export const TOKEN = 'set, a token passed, reset';
export const STEPS = 'steps, no variables';
export const STEPS_TEN = 'steps, 10 variables';

export const settings = [
  NONE,
  UNSET,
  IN_RUN,
  ONE,
  TEN,
  READ_ONE,
  READ_ALL,
  CHANGING,
  TOKEN,
  STEPS,
  STEPS_TEN,
] as const;

export type Setting = (typeof settings)[number];

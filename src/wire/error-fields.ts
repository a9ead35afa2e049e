/** What the writer and the reader of errors have in common. */
import { types } from 'node:util';

export type Fields = Map<string, unknown>;

/** Fields that travel although they are not enumerable. All other such fields stay behind. */
export const HIDDEN = new Set([
  'name',
  'message',
  'stack',
  'cause',
  'errors',
  'error',
  'suppressed',
]);
/** What the class's own `encode` gave, among the fields. */
export const CONTENT = 'content';
/** Properties of an error that arrives as one of another class, which say why. */
export const NOT_SENT = '[not sent]';
export const NOT_READ = '[not read]';

/** Whether a value travels as an error: errors of all realms, and objects that inherit from Error. */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || value instanceof Error;
}

import { type AuthorizedTask, type PeerIdentity, routine } from '../../../src/index.ts';

/** The pool may all, and who is called `half` may have its pid told. */
export const allow = routine(({ names }: PeerIdentity, task?: AuthorizedTask) => {
  if (names.includes('localhost')) return true;
  return names.includes('half.example') && (task === undefined || task.routine.endsWith('#pid'));
});

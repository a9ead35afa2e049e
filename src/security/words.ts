/** What people are told of what strangers threw. */
import { SkeinError } from '../errors.ts';

/** What was thrown, in words: it may be anything, with code of its own that throws. */
export function wordsOf(thrown: unknown): string {
  try {
    return String(thrown instanceof SkeinError ? thrown.message : thrown);
  } catch {
    return 'what it threw has no text';
  }
}

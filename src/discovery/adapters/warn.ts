import { type Warn, warnOnce } from '../warning.ts';

/** Warnings of the process about discovery, each kind once. */
export function warnings(): Warn {
  return warnOnce((message) => process.emitWarning(message, 'SkeinDiscoveryWarning'));
}

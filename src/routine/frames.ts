/** Which frames of a stack are the runtime's own, and not the program's. */
import { fileURLToPath } from 'node:url';

export interface RuntimeFrames {
  /** Whether a line of a stack is a frame of the runtime. */
  isOwn(line: string): boolean;
  /** Whether it is one of what Node does between the program and the runtime. */
  isBetween(line: string): boolean;
  /** Whether it is the one by which a worker came to the program's code: none of the program's is below it. */
  isEntry(line: string): boolean;
}

/**
 * @param url of this module, wherever it was installed. Source maps lead from `dist` to `src`.
 * @param windows whether paths are those of Windows
 */
export function findFrames(url: string, windows: boolean): RuntimeFrames {
  const folder = /^(file:.*\/)(?:src|dist)\/routine\/frames\.[jt]s/.exec(url)?.[1];
  // In a bundle nothing tells the runtime's frames from the program's.
  const none = () => false;
  if (folder === undefined) return { isOwn: none, isBetween: none, isEntry: none };
  const places = ['src/', 'dist/'].flatMap((room) => {
    const place = folder + room;
    return [place, fileURLToPath(place, { windows })].map(quote);
  });
  // Behind the first parenthesis: where code of an eval is, is in the second.
  const start = String.raw`^\s+at (?:async )?(?:[^(]*\()?`;
  const own = `${start}(?:${places.join('|')})`;
  return {
    isOwn: tester(own),
    isBetween: tester(`${start}node:(?:async_hooks|internal/(?:async_|process/|modules/|timers))`),
    isEntry: tester(String.raw`${own}actors[/\\](?:execution|session)\.[jt]s`),
  };
}

function tester(pattern: string): (line: string) => boolean {
  const expression = new RegExp(pattern);
  return (line) => expression.test(line);
}

function quote(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/** The frames of this copy of the runtime. */
export const runtimeFrames = findFrames(import.meta.url, process.platform === 'win32');

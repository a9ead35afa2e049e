/** Texts for peers who are not to learn where things are on this machine. */
import { readdirSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { sep } from 'node:path';

/** What stands in the place of a path. */
export const HIDDEN_PATH = '[path not sent]';

/** What a file system looks like. */
export interface Places {
  readonly windows: boolean;
  /** Names in its root; on Windows they are not looked at. */
  readonly roots: readonly string[];
  /** Folders that are known, which may have spaces in their names. */
  readonly folders: readonly string[];
}

/** Ends a path that stands in no quotes. */
const END = '\\s\'"`<>|*?(){}\\[\\],;';
/** Before a path. After these it would be the end of something else, as of a URL. */
const NOT_AFTER = '(?<![\\w\\-.~%/\\\\\\]])';
const URLS = `(?:file|(?:beat\\+)?unix):/[^${END}]*`;
const DRIVE = '(?:\\\\\\\\[?.]\\\\(?:[A-Za-z]:)?|[A-Za-z]:[\\\\/]|\\\\\\\\\\w)';

/** Gives what replaces absolute paths, and URLs of files and sockets, in a text. */
export function pathHider({ windows, roots, folders }: Places): (text: string) => string {
  const below = `/(?:${roots.map(escaped).join('|')})(?![^/:${END}])`;
  const start = windows ? DRIVE : roots.length > 0 ? below : '/';
  const bare = `${start}[^${END}:]*`;
  const quoted = [`'`, '"', '`'].map((quote) => `(?<=${quote})${start}[^${quote}\\n]*(?=${quote})`);
  const known = folders
    .filter((folder) => /\s/.test(folder))
    .map((one) => `${escaped(one)}[^${END}:]*`);
  const pattern = new RegExp([URLS, ...quoted, ...known, `${NOT_AFTER}${bare}`].join('|'), 'g');
  return (text) => (/[/\\]/.test(text) ? text.replace(pattern, HIDDEN_PATH) : text);
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

let hider: ((text: string) => string) | undefined;

/** A text without the absolute paths of this machine, and URLs of its files and sockets. */
export function hidePaths(text: string): string {
  hider ??= pathHider(placesHere());
  return hider(text);
}

function placesHere(): Places {
  const windows = sep === '\\';
  let roots: string[] = [];
  try {
    if (!windows) roots = readdirSync('/');
  } catch {
    // Then each text that begins with a slash counts as a path.
  }
  return { windows, roots, folders: [process.cwd(), homedir(), tmpdir()] };
}

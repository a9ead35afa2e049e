/** Where a module is that somebody else names, and whether it may be imported for them. */
import { realpath, stat } from 'node:fs/promises';
import { sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { moduleUrl } from './identity.ts';
import { knownPackages, moduleIn, parseName, placeOf, portable, realUrl } from './module-name.ts';
import { packageOf } from './package-name.ts';

/** Which modules others may have imported by naming them. */
export interface ModulePolicy {
  /** Folder in which packages are looked for: its own package, and those in `node_modules`. */
  readonly root: string;
  /**
   * Whether any file may be imported, by its URL, too: for workers that only their own program reaches.
   * Otherwise only what is below `root` or one of `folders`; links out of them lead nowhere.
   */
  readonly files: boolean;
  /** URLs of folders, with a slash at their end: of packages that the program told of. Default: none. */
  readonly folders?: Iterable<string>;
  /** Whether answers name the modules, and not callers: their readers may hear of their own folders. Default: false. */
  readonly answers?: boolean;
}

/** The same for answers of workers that this program has not started: they name no files by their URLs. */
export function withoutFiles(policy: ModulePolicy): ModulePolicy {
  return policy.files ? { ...policy, files: false, answers: true } : policy;
}

/** The folders of packages that have made something in this process. */
export const ownPackages: Iterable<string> = {
  *[Symbol.iterator]() {
    for (const { folder, own } of knownPackages().values()) if (own) yield folder;
  },
};

/** Thrown when nothing is imported for a name. The message is for whoever named it. */
export class ModuleRefused extends Error {}

let ownPolicy: ModulePolicy | undefined;

/** Says which modules this process imports where nothing else is said. Default: any, from the current folder. */
export function setModulePolicy(policy: ModulePolicy): void {
  ownPolicy = policy;
}

export function modulePolicy(): ModulePolicy {
  return ownPolicy ?? { root: process.cwd(), files: true };
}

/** Has other processes say where a package is; over when it is known, or nobody says it. */
export type PackageSeeker = (name: string) => Promise<void>;

const seekers = new Set<PackageSeeker>();

/** @returns what takes it away again */
export function addPackageSeeker(seeker: PackageSeeker): () => void {
  seekers.add(seeker);
  return () => seekers.delete(seeker);
}

/** Waits for what other processes may say of a package that is not known here. */
export async function seekPackage(name: string): Promise<void> {
  if (knownPackages().has(name)) return;
  await Promise.all([...seekers].map((seek) => seek(name)));
}

/**
 * The URL to import for a name. What made something here already is not looked for: to import it once
 * more runs nothing.
 *
 * @throws ModuleRefused when there is no such module, or it must not be imported for others
 */
export async function locate(name: string, policy: ModulePolicy): Promise<string> {
  const place = placeOf(name);
  if (place !== undefined) return place;
  const parts = parseName(name);
  if (parts === undefined) return byUrl(name, policy);
  if (!policy.files && !IS_CODE.test(name)) throw new ModuleRefused(NO_CODE);
  await seekPackage(parts.package);
  const known = knownPackages().get(parts.package);
  if (known !== undefined && policy.files) {
    const url = moduleIn(known.folder, parts.path);
    // As for other files: a loader may know it though it is not there.
    if (!(await isSpecial(url))) return url;
  }
  for (const folder of known ? [known.folder] : candidates(parts.package, policy)) {
    const url = await moduleOf(folder, parts.path, name, policy);
    if (url !== undefined) return url;
  }
  if (policy.files) throw new ModuleRefused(unknown(parts.package, policy));
  throw new ModuleRefused(policy.answers ? OUTSIDE_HERE : OUTSIDE);
}

/** Of others, such as `.env`, the error could show what is in it: Node takes them for JavaScript, too. */
const IS_CODE = /\.[cm]?[jt]sx?$/;

/** Modules of this package that begin something when they are loaded, such as a worker. */
const OWN_CODE = /^skein\/(?:dist|src)\//;
const ONLY_FILES = 'only modules that are files are loaded by their name';
const BY_NAME =
  'it imports modules by package name and relative path only, as in my-app/src/routines.ts: give the ' +
  'program a package.json with a name, or start the worker with this module (--module)';
const NO_CODE =
  'it imports only files of JavaScript and TypeScript, by their endings: .js, .mjs, .ts ...';
const OUTSIDE =
  'it finds no such module below its root. Start it where the package is, in its own folder or in ' +
  'node_modules there (--root), or with this module (--module)';
/** The same for who has called a worker that discovery found. */
const BY_NAME_HERE =
  'workers that were found have modules imported here by package name and relative path only, as in ' +
  'my-app/src/routines.ts: import it in the program, or give the program a package.json with a name';
const OUTSIDE_HERE =
  'workers that were found have modules imported here that are below the root only, or in packages that the ' +
  'program has imported: import it in the program, or open the pool in the folder of its package (root)';

function unknown(wanted: string, { root }: ModulePolicy): string {
  return (
    `no package '${wanted}' with this module is known here, or is in node_modules of ${root}, of a folder ` +
    'around it, or of a package that is known'
  );
}

async function byUrl(name: string, { files, answers }: ModulePolicy): Promise<string> {
  if (!files) throw new ModuleRefused(answers ? BY_NAME_HERE : BY_NAME);
  if (!isFileUrl(name) || (await isSpecial(name))) throw new ModuleRefused(ONLY_FILES);
  return name;
}

/**
 * Whether it is a file's URL as names have it. One with a query would be evaluated once more, and what it
 * makes then would take the place of what is there; one with a host is on another machine.
 */
function isFileUrl(name: string): boolean {
  if (!URL.canParse(name)) return false;
  const { protocol, host, href } = new URL(name);
  return protocol === 'file:' && host === '' && moduleUrl(href) === name;
}

/** Whether it is there, and no file: what Node reads of a device or a pipe may have no end. */
async function isSpecial(url: string): Promise<boolean> {
  try {
    return !(await stat(new URL(url))).isFile();
  } catch {
    // Not there: a loader may know better.
    return false;
  }
}

/** Folders that may be those of a package. */
function* candidates(wanted: string, { root }: ModulePolicy): Generator<string> {
  const start = folderUrl(root);
  const own = packageOf(start);
  if (own?.name === wanted) yield own.folder;
  const seen = new Set<string>();
  for (const base of [start, ...[...knownPackages().values()].map(({ folder }) => folder)]) {
    for (let folder = base; !seen.has(folder); folder = new URL('..', folder).href) {
      seen.add(folder);
      yield moduleIn(folder, `node_modules/${wanted}/`);
    }
  }
}

function folderUrl(path: string): string {
  return `${realUrl(pathToFileURL(path).href).replace(/\/$/, '')}/`;
}

/** The module of this very name in a folder, if it is there and may be imported. */
async function moduleOf(
  folder: string,
  path: string,
  name: string,
  policy: ModulePolicy,
): Promise<string | undefined> {
  const url = moduleIn(folder, path);
  const file = await regularFile(url);
  if (file === undefined) return undefined;
  if (!policy.files && (OWN_CODE.test(name) || !(await isBelow(file, policy)))) return undefined;
  const real = policy.files ? realUrl(url) : pathToFileURL(file).href;
  // By another name, it would be evaluated once more, or what it makes would not be found afterwards.
  const found = portable(real);
  if (found?.name !== name) return undefined;
  const first = knownPackages().get(found.package.name)?.folder ?? found.package.folder;
  return found.package.folder === first ? real : undefined;
}

async function regularFile(url: string): Promise<string | undefined> {
  try {
    const file = await realpath(fileURLToPath(url));
    return (await stat(file)).isFile() ? file : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a file, by its path without links, is where files may be imported from. */
async function isBelow(file: string, { root, folders = [] }: ModulePolicy): Promise<boolean> {
  for (const folder of [root, ...[...folders].map((url) => fileURLToPath(url))]) {
    const real = await realpath(folder).catch(() => undefined);
    if (real !== undefined && file.startsWith(real.endsWith(sep) ? real : real + sep)) return true;
  }
  return false;
}

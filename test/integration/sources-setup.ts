/** Makes of the sources the one module that the workers of tests load: see `test/loader/sources.js`. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import type { TestProject } from 'vitest/node';
import { cache, changed, folder, known, MANY, type Sources, target } from '../loader/sources.js';

/** Where a program starts: what it imports is in a module of many, and it is not. */
const MAIN = 'worker/main.ts';
/** What is loaded together, with all that it imports and that is in no group before: not before it is asked for. */
const GROUPS = [[MAIN], ['index.ts'], ['testing/index.ts'], ['nats/index.ts']];

const options = {
  absWorkingDir: folder,
  format: 'esm',
  platform: 'node',
  target,
  packages: 'external',
  metafile: true,
  write: false,
  minifyWhitespace: true,
  keepNames: true,
  // Modules are imported for what they do, too.
  ignoreAnnotations: true,
  logLevel: 'error',
} satisfies BuildOptions;

export async function setup(project: TestProject): Promise<void> {
  await makeSources();
  project.onTestsRerun(makeSources);
}

async function makeSources(): Promise<void> {
  if (known()) return;
  const groups = await Promise.all(GROUPS.map(imported));
  const paths = [...new Set(groups.flat())];
  const inputs = [...paths, relative(folder, import.meta.filename)];
  const files = Object.fromEntries(inputs.map((path) => [path, changed(path)]));
  const exported = await exportsOf(paths);
  const modules: Sources['modules'] = {};
  for (const [group, all] of groups.entries()) {
    const own = all.filter((path) => path !== MAIN && modules[path] === undefined);
    const name = `${MANY}${group}.js`;
    modules[name] = await together(own, { ...modules });
    const url = pathToFileURL(join(folder, name)).href;
    for (const [index, path] of own.entries()) {
      modules[path] = takeOut(url, index, exported.get(path) ?? []);
    }
  }
  modules[MAIN] = await bundled(MAIN, readFileSync(join(folder, MAIN), 'utf8'), modules);
  const sources: Sources = { files, modules };
  mkdirSync(dirname(cache), { recursive: true });
  const own = `${cache}.${process.pid}`;
  writeFileSync(own, JSON.stringify(sources));
  renameSync(own, cache);
}

/** The paths in `src` of all that the entries import, and of themselves. */
async function imported(entryPoints: string[]): Promise<string[]> {
  const { metafile } = await build({ ...options, entryPoints, outdir: '.', bundle: true });
  return Object.keys(metafile.inputs).sort();
}

async function exportsOf(paths: string[]): Promise<Map<string, string[]>> {
  const { metafile } = await build({ ...options, entryPoints: paths, outdir: '.' });
  const outputs = Object.values(metafile.outputs);
  return new Map(outputs.map(({ entryPoint = '', exports }) => [entryPoint, exports]));
}

/** All of them as one, which exports each as `m<index>`. */
async function together(paths: string[], before: Sources['modules']): Promise<string> {
  const all = paths.map((path, index) => `export * as m${index} from './${path}';`);
  return await bundled('all', all.join('\n'), before);
}

/** @param before what is in other modules, and is taken out of them */
async function bundled(
  sourcefile: string,
  contents: string,
  before: Sources['modules'],
): Promise<string> {
  const { outputFiles } = await build({
    ...options,
    stdin: { contents, sourcefile, loader: 'ts', resolveDir: join(folder, dirname(sourcefile)) },
    plugins: [within(before)],
    bundle: true,
    outfile: 'all.js',
    sourcemap: 'inline',
    sourcesContent: false,
    write: false,
  });
  return outputFiles[0]?.text ?? '';
}

function takeOut(url: string, index: number, names: readonly string[]): string {
  const taken = `import{m${index}}from${JSON.stringify(url)};`;
  return names.length === 0 ? taken : `${taken}export const{${names.join(',')}}=m${index};`;
}

function within(before: Sources['modules']): Plugin {
  return {
    name: 'within',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^file:/ }, ({ path }) => ({ path, external: true }));
      onLoad({ filter: /\.[jt]s$/ }, ({ path }) => {
        const taken = before[relative(folder, path)];
        if (taken !== undefined) return { contents: taken };
        // Files find others beside them by their own URL.
        const url = JSON.stringify(pathToFileURL(path).href);
        const contents = readFileSync(path, 'utf8').replaceAll('import.meta.url', url);
        return { contents, loader: path.endsWith('.ts') ? 'ts' : 'js' };
      });
    },
  };
}

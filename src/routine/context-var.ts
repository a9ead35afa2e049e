/** Where context variables are declared: that gives them a namespace, and tells declarations apart. */
import { type Declaration, locateDeclarations } from '../context/declaration.ts';
import { type CallSite, fileSite, isReplacedAt } from './identity.ts';
import { packageNameOf } from './package-name.ts';

export { ContextVar } from '../context/variable.ts';

class LocatedDeclaration implements Declaration {
  readonly namespace: string;
  /** Undefined in code that is no file. */
  readonly #site: CallSite | undefined;

  constructor(namespace: string, site: CallSite | undefined) {
    this.namespace = namespace;
    this.#site = site;
  }

  get place(): string | undefined {
    return this.#site && `${this.#site.module}:${this.#site.line}`;
  }

  repeats(earlier: Declaration): boolean {
    const before = earlier instanceof LocatedDeclaration ? earlier.#site : undefined;
    return before !== undefined && this.#site !== undefined && isReplacedAt(before, this.#site);
  }
}

locateDeclarations((callee, namespace, name) => {
  const site = fileSite(callee);
  return new LocatedDeclaration(namespace ?? namespaceAt(site, name), site);
});

function namespaceAt(site: CallSite | undefined, name: string): string {
  const packageName = site && packageNameOf(site.module);
  if (packageName !== undefined) return packageName;
  const why = site
    ? `${site.module} is in none that has a name in its package.json`
    : 'it was called in a place that is no file';
  throw new TypeError(
    `new ContextVar('${name}') takes the name of its package for its namespace, and ${why}: ` +
      `pass one, new ContextVar('${name}', { namespace: '...' })`,
  );
}

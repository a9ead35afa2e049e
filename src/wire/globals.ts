/** A class by its global name; undefined where this process has none. */
export function globalClass(name: string): { readonly prototype: object } | undefined {
  let found: unknown = globalThis;
  for (const step of name.split('.'))
    found = (found as Record<string, unknown> | undefined)?.[step];
  return typeof found === 'function' ? (found as { prototype: object }) : undefined;
}

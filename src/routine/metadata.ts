/**
 * What decorators of one class share: an object that becomes `Class[Symbol.metadata]`. That of a class
 * inherits from its base class's.
 */

// Compilers ask for the symbol when a class is made, and TypeScript's leaves metadata out without it.
if ((Symbol as { metadata?: symbol }).metadata === undefined) {
  Object.defineProperty(Symbol, 'metadata', { value: Symbol.for('Symbol.metadata') });
}

function metadataKey(): symbol {
  return (Symbol as { metadata?: symbol }).metadata as symbol;
}

type Metadata = Record<symbol, unknown>;

/** The class's own, if a decorator of it has asked for any. */
function metadataOf(Class: object): Metadata | undefined {
  const key = metadataKey();
  return Object.hasOwn(Class, key)
    ? ((Class as Record<symbol, unknown>)[key] as Metadata)
    : undefined;
}

/** The class's own. */
export function ensureMetadata(Class: object): object {
  const own = metadataOf(Class);
  if (own !== undefined) return own;
  const key = metadataKey();
  const value = Object.create(
    (Class as Record<symbol, object | undefined>)[key] ?? null,
  ) as Metadata;
  Object.defineProperty(Class, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
  return value;
}

/** Adds to a list in the metadata of a class. */
export function addMetadata(metadata: object, key: symbol, item: unknown): void {
  const own = metadata as Metadata;
  if (!Object.hasOwn(own, key)) Object.defineProperty(own, key, { value: [] });
  (own[key] as unknown[]).push(item);
}

/** What was added for this class itself. */
export function listMetadata(Class: object, key: symbol): readonly unknown[] {
  const own = metadataOf(Class);
  return own !== undefined && Object.hasOwn(own, key) ? (own[key] as unknown[]) : [];
}

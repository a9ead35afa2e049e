/** What is inside of the engine's own objects. A property of the same name that the program added may lie. */

/** What all typed arrays have in common. */
export type TypedArray = Pick<Uint8Array, 'buffer' | 'byteOffset' | 'byteLength'>;

/** The getter of a property, to be called with the object. */
function getter<T extends object, K extends keyof T & string>(
  prototype: T,
  key: K,
): (this: T) => T[K] {
  return Object.getOwnPropertyDescriptor(prototype, key)?.get as (this: T) => T[K];
}

const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as TypedArray;

export const viewBuffer = getter(typedArray, 'buffer');
export const viewOffset = getter(typedArray, 'byteOffset');
export const viewLength = getter(typedArray, 'byteLength');
export const dataViewBuffer = getter(DataView.prototype, 'buffer');
export const dataViewOffset = getter(DataView.prototype, 'byteOffset');
export const dataViewLength = getter(DataView.prototype, 'byteLength');
export const bufferLength = getter(ArrayBuffer.prototype, 'byteLength');
export const sourceOf = getter(RegExp.prototype, 'source');
export const flagsOf = getter(RegExp.prototype, 'flags');
export const hrefOf = getter(URL.prototype, 'href');
export const { getTime } = Date.prototype;

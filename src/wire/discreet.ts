/** Values for peers who are not to learn where things are on this machine. */
import { Encoder } from './encoder.ts';

/** Gives what stands for a text of an error. */
export type HideText = (text: string) => string;

/** What a path in the text of a system error begins with that is absolute. */
const ABSOLUTE = /^(?:\/|[A-Za-z]:[\\/]|\\\\)./;
const HIDDEN = '[path not sent]';
/** Where errors of Node say what they are about. */
const PATHS = ['path', 'dest', 'filename'];

/** Errors go without their stacks, and their texts, and those of other things that are thrown, without places. */
export class DiscreetEncoder extends Encoder {
  hide: HideText = (text) => text;

  override get stacks(): boolean {
    return false;
  }

  override write(value: unknown): void {
    const isHidden = this.thrown || this.openErrors.length > 0;
    super.write(isHidden ? this.#discreet(value) : value);
  }

  #discreet(value: unknown): unknown {
    if (typeof value === 'string') return this.hide(this.#withoutOwn(value));
    // A URL of this class alone: others travel as what they are.
    if (!(value instanceof URL) || Object.getPrototypeOf(value) !== URL.prototype) return value;
    const { href } = value;
    const hidden = this.hide(href);
    return hidden === href ? value : hidden;
  }

  /** A system error says itself what its path is, which may be nowhere. */
  #withoutOwn(text: string): string {
    const error = this.openErrors.at(-1);
    if (error === undefined || !/[/\\]/.test(text)) return text;
    let rest = text;
    for (const key of PATHS) {
      const path = own(error, key);
      if (typeof path === 'string' && ABSOLUTE.test(path)) rest = rest.replaceAll(path, HIDDEN);
    }
    return rest;
  }
}

function own(error: object, key: string): unknown {
  try {
    return Object.getOwnPropertyDescriptor(error, key)?.value;
  } catch {
    // A Proxy whose traps throw.
    return undefined;
  }
}

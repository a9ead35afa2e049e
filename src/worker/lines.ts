/** Cuts what a stream brings into lines of text. */
import { StringDecoder } from 'node:string_decoder';

/** Longer lines are cut into pieces of so many UTF-16 units. */
const MAX_LINE = 65_536;

export class Lines {
  readonly #line: (line: string) => void;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  /** @param line gets each line, without its line feed */
  constructor(line: (line: string) => void) {
    this.#line = line;
  }

  push(bytes: Buffer): void {
    this.#take(this.#decoder.write(bytes));
  }

  /** No more comes: gives the last line, though its end is missing. */
  end(): void {
    this.#take(this.#decoder.end());
    if (this.#rest !== '') this.#line(this.#rest);
    this.#rest = '';
  }

  #take(text: string): void {
    let from = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', from)) {
      this.#cut(this.#rest + text.slice(from, end));
      this.#line(this.#rest);
      this.#rest = '';
      from = end + 1;
    }
    this.#cut(this.#rest + text.slice(from));
  }

  /** Gives all pieces of a line but the last, which waits. */
  #cut(line: string): void {
    let from = 0;
    while (line.length - from > MAX_LINE) {
      const isPair = /[\ud800-\udbff]/.test(line[from + MAX_LINE - 1] as string);
      const end = from + MAX_LINE - (isPair ? 1 : 0);
      this.#line(line.slice(from, end));
      from = end;
    }
    this.#rest = line.slice(from);
  }
}

/** Words in a text. */

/**
 * A letter, then letters, marks and digits, with apostrophes inside. Measured on 136 Markdown files,
 * this finds words at 57 MB/s, and `Intl.Segmenter` at 1.3 MB/s on Node 20 and 24 MB/s on Node 24. The
 * segmenter would also cut languages that write without spaces, which here give one word per run.
 */
const WORD = /\p{L}[\p{L}\p{M}\p{N}]*(?:['’][\p{L}\p{M}\p{N}]+)*/gu;

/** How often each word is in the text, in lower case; composed and decomposed letters are the same. */
export function countWords(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of text.normalize('NFC').toLowerCase().match(WORD) ?? []) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

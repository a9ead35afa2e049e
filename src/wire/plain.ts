/** Words of others, for logs and terminals. */

/** What would move the cursor, begin a line, or turn the direction of writing. */
const UNSEEN = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Characters that a message has of it. */
const LONGEST = 300;

/** Text from elsewhere in one line that a terminal does not obey; its end is cut off when it is long. */
export function plain(text: string, longest = LONGEST): string {
  const cut = text.length > longest ? `${text.slice(0, longest)}…` : text;
  return cut.replace(UNSEEN, '\ufffd');
}

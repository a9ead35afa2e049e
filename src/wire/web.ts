/** Classes of the Web: URL, URLSearchParams, Headers. */

import { HEADER, HEADERS, URL_COST, URL_PARAMS, URL_PARAMS_BYTE } from './cost.ts';
import { hrefOf } from './intrinsics.ts';
import { type Kind, kind } from './kinds.ts';
import { damaged } from './reader.ts';
import { Refusal } from './refusal.ts';
import { TAG_OBJECT, TAG_URI } from './tags.ts';
import { refuseProperties } from './unsupported.ts';
import { MAJOR } from './writer.ts';

const url = kind<URL>({
  prototypes: [URL.prototype],
  cost: URL_COST,
  write(sink, value) {
    refuseProperties(value, 'a URL');
    const href = hrefOf.call(value);
    if (hasLongHost(href)) {
      throw new Refusal(
        `a URL with a host that is not ASCII, of more than ${MAX_HOST} characters,`,
        'pass its href',
      );
    }
    sink.tag(TAG_URI);
    sink.text(href);
  },
  read: {
    [TAG_URI](source) {
      const text = source.text();
      if (!isHref(text) || hasLongHost(text))
        throw damaged('a URL that is not written as its href');
      return new URL(text);
    },
  },
});

/** Characters of a host that is not ASCII. Domain names have no more. */
const MAX_HOST = 255;

/**
 * Whether a text may be the `href` of a URL, as far as the time is at stake that it takes to parse it:
 * that is quadratic for hosts that are not ASCII, or become so. Where the scheme has such hosts, they are
 * in lower case and have nothing encoded but as `xn--`.
 */
function isHref(text: string): boolean {
  if (!/^[a-z][a-z0-9+.-]*:[ -~]*$/.test(text)) return false;
  if (!/^(?:https?|wss?|ftp|file):/.test(text)) return true;
  const [, authority] = /^(?:file:\/\/|[a-z]+:\/\/(?=[^/]))([^/?#]*)/.exec(text) ?? [];
  return authority !== undefined && !/[A-Z%\\]/.test(hostIn(authority));
}

function hasLongHost(href: string): boolean {
  if (href.length <= MAX_HOST) return false;
  const [, authority = ''] = /^(?:https?|wss?|ftp|file):\/\/([^/?#]*)/.exec(href) ?? [];
  const host = hostIn(authority);
  return host.length > MAX_HOST && host.includes('xn--');
}

/** The host, and its port if there is one. */
function hostIn(authority: string): string {
  return authority.slice(authority.lastIndexOf('@') + 1);
}

const searchParams = kind<URLSearchParams>({
  prototypes: [URLSearchParams.prototype],
  cost: URL_PARAMS,
  write(sink, value) {
    refuseProperties(value, 'URLSearchParams');
    sink.tag(TAG_OBJECT);
    sink.head(MAJOR.array, 2);
    sink.text('URLSearchParams');
    const text = value.toString();
    sink.charge(text.length * URL_PARAMS_BYTE);
    sink.text(text);
  },
  readTypes: {
    URLSearchParams(source, count) {
      if (count !== 1) throw damaged('URLSearchParams without their text');
      const text = source.text();
      source.charge(text.length * URL_PARAMS_BYTE);
      return new URLSearchParams(text);
    },
  },
});

/** Late, since Node.js loads its implementation of fetch when one of its names is first used. */
const headers = kind<Headers>({
  prototypes: [],
  lateClasses: ['Headers'],
  cost: HEADERS,
  write(sink, value) {
    refuseProperties(value, 'Headers');
    const entries = [...value].flatMap(appended);
    sink.tag(TAG_OBJECT);
    sink.head(MAJOR.array, 2);
    sink.text('Headers');
    sink.charge(entries.length * HEADER);
    sink.head(MAJOR.array, entries.length);
    for (const [name, text] of entries) {
      sink.head(MAJOR.array, 2);
      sink.text(name);
      sink.text(text);
    }
  },
  readTypes: {
    Headers(source, count) {
      if (count !== 1) throw damaged('Headers without their entries');
      const value = new Headers();
      const entries = source.count(MAJOR.array);
      source.charge(entries * HEADER);
      for (let i = 0; i < entries; i++) {
        if (source.count(MAJOR.array) !== 2) throw damaged('a header that is no pair');
        value.append(source.text(), source.text());
      }
      return value;
    },
  },
});

/** All kinds of this file. */
export const webKinds: readonly Kind[] = [url, searchParams, headers];

/**
 * What to append for a header. Values of one name are joined with a comma and a space; an empty one
 * at the end would be cut off as white space if they were appended as one.
 */
function appended([name, joined]: [string, string]): [string, string][] {
  const entries: [string, string][] = [];
  let value = joined;
  for (; value.endsWith(', '); value = value.slice(0, -2)) entries.push([name, '']);
  return [[name, value], ...entries];
}

import type { Group } from '../row.ts';

export const web: Group = {
  title: 'Web',
  file: 'web.ts',
  rows: [
    {
      type: '`URL`',
      wire: 'tag 32 over text',
      examples: {
        'with all parts': () => new URL('https://me:pw@example.test:8080/a%20b/?x=1&x=2&y=ä#part'),
        'that has no host': () => new URL('data:text/plain,é'),
        'of a file': () => new URL('file:///tmp/a%2Fb'),
        'changed after it was made': () => {
          const url = new URL('https://example.test/');
          url.searchParams.append('q', 'a b&c');
          return url;
        },
      },
    },
    {
      type: '`URLSearchParams`',
      wire: "tag 27 over `['URLSearchParams', text]`",
      examples: {
        empty: () => new URLSearchParams(),
        'in the order of its pairs': () => new URLSearchParams('b=1&a=2&b=3&%26=%3D&c'),
      },
    },
    {
      type: '`Headers`',
      wire: "tag 27 over `['Headers', [[name, value], ...]]`, each pair to be appended",
      examples: {
        empty: () => new Headers(),
        'a name more than once': () =>
          new Headers([
            ['X-Two', 'b'],
            ['x-two', 'a'],
            ['Set-Cookie', 'a=1'],
            ['Set-Cookie', 'b=2; Path=/'],
          ]),
      },
    },
  ],
};

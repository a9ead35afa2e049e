import { expect, test } from 'vitest';
import { LimitExceeded, ProtocolError, ValueTooLarge } from '../../../src/errors.ts';
import { Breaches, exceeded } from '../../../src/security/breaches.ts';

function make() {
  const warnings: string[] = [];
  const env = { now: () => clock.ms };
  const clock = { ms: 0 };
  const breaches = new Breaches({ env, warn: (message) => warnings.push(message) });
  return { breaches, warnings, clock };
}

test('breaches are counted by limit, and nothing else is', () => {
  const { breaches } = make();
  breaches.note(exceeded('maxLinks', 3, 2, '3 links'), 'tcp://a');
  breaches.note(exceeded('maxDepth', 3, 2, '3 levels'), 'tcp://a');
  breaches.note(exceeded('maxLinks', 3, 2, '3 links'), 'tcp://b');
  breaches.note(new ValueTooLarge('9 bytes', { bytes: 9, limit: 8 }), 'tcp://b');
  breaches.note(new ProtocolError('wrong'), 'tcp://b');
  breaches.note(undefined, 'tcp://b');
  // Of somebody who makes limits up.
  breaches.note(new LimitExceeded('', { limit: 'toString', value: 2, max: 1 }), 'tcp://b');
  expect(breaches.counts).toEqual({ maxLinks: 2, maxDepth: 1, maxValueBytes: 1 });
});

test('each limit is warned of once a minute, and the warning says how often it was', () => {
  const { breaches, warnings, clock } = make();
  for (let i = 0; i < 5; i += 1) breaches.note(exceeded('maxLinks', 3, 2, '3 links'), 'tcp://a');
  breaches.note(exceeded('maxDepth', 3, 2, '3 levels'), 'tcp://a');
  expect(warnings).toEqual([
    'a peer, tcp://a, has exceeded a limit: 3 links, and the limit is 2 (maxLinks)',
    'a peer, tcp://a, has exceeded a limit: 3 levels, and the limit is 2 (maxDepth)',
  ]);
  clock.ms = 59_999;
  breaches.note(exceeded('maxLinks', 3, 2, '3 links'), 'tcp://a');
  expect(warnings).toHaveLength(2);
  clock.ms = 60_000;
  breaches.note(exceeded('maxLinks', 3, 2, '3 links'), 'tcp://b');
  expect(warnings.slice(2)).toEqual([
    'a peer, tcp://b, has exceeded a limit (the last of 6 times): 3 links, and the limit is 2 (maxLinks)',
  ]);
});

import { expect, test } from 'vitest';
import { Strangers } from '../../../src/nats/strangers.ts';

function strangers() {
  const ended: string[] = [];
  const group = new Strangers<string>((one) => ended.push(one), { each: 3, all: 5 });
  return { ended, group };
}

test('of one name the oldest goes, and nobody else', () => {
  const { ended, group } = strangers();
  group.add('good', 'good 1');
  for (let i = 1; i <= 6; i += 1) group.add('bad', `bad ${i}`);
  expect(ended).toEqual(['bad 1', 'bad 2', 'bad 3']);
});

test('of all, the oldest goes of who has the most', () => {
  const { ended, group } = strangers();
  for (const one of ['a 1', 'b 1', 'b 2', 'b 3', 'c 1', 'd 1', 'a 2']) group.add(one[0] ?? '', one);
  expect(ended).toEqual(['b 1', 'b 2']);
});

test('who is known by now counts no more', () => {
  const { ended, group } = strangers();
  for (let i = 1; i <= 9; i += 1) {
    group.add('good', `good ${i}`);
    group.remove('good', `good ${i}`);
    group.remove('good', `good ${i}`);
  }
  expect(ended).toEqual([]);
});

/** What is promised of processes, and what they leave behind. */
import { type Rule, time } from './checker.ts';

const withinBounds: Rule = {
  name: 'within-bounds',
  promise: 'what a process holds stays within its bounds',
  *find({ held }) {
    const known = new Set<string>();
    for (const event of held) {
      for (const [name, value] of Object.entries(event.what)) {
        const limit = event.what[`${name}Limit`];
        const key = `${event.process} ${name}`;
        if (limit === undefined || value <= limit || known.has(key)) continue;
        known.add(key);
        const message = `${event.process} held ${name} = ${value} at ${time(event.at)}; the bound is ${limit}`;
        yield { message, events: [event] };
      }
    }
  },
};

const nothingLeft: Rule = {
  name: 'nothing-left',
  promise: 'when the faults have ended and the time of grace has passed, nothing is left over',
  *find({ healed, held, processes }) {
    if (healed === undefined || held.length === 0) return;
    const looked = new Set<string>();
    for (const event of held) {
      const { process, at } = event;
      if (at < healed.at) continue;
      looked.add(process);
      const left = Object.entries(event.what).filter(
        ([name, value]) => name.startsWith('left') && value !== 0,
      );
      if (left.length === 0 || processes.get(process)?.gone?.crashed) continue;
      const what = left.map(([name, value]) => `${name} = ${value}`).join(', ');
      yield { message: `${process} has something left over at its end: ${what}`, events: [event] };
    }
    for (const { name, up, gone } of processes.values()) {
      if (up === undefined || gone !== undefined || looked.has(name)) continue;
      const message = `nobody looked at what ${name} holds after the faults had ended`;
      yield { message, events: [up, healed] };
    }
  },
};

const nothingUncaught: Rule = {
  name: 'nothing-uncaught',
  promise: 'no error goes unhandled',
  *find({ uncaught }) {
    for (const event of uncaught) {
      yield { message: `unhandled in ${event.process}: ${event.message}`, events: [event] };
    }
  },
};

/** Says of the simulation rather than of the runtime that it is sound. */
const deadAreSilent: Rule = {
  name: 'dead-are-silent',
  promise: 'a process that is gone does nothing any more',
  *find({ processes }) {
    for (const { name, gone, haunts } of processes.values()) {
      if (gone === undefined || haunts === undefined) continue;
      const message = `${name} was gone at ${time(gone.at)}, and did something at ${time(haunts.at)}`;
      yield { message, events: [gone, haunts] };
    }
  },
};

export const processRules: readonly Rule[] = [
  withinBounds,
  nothingLeft,
  nothingUncaught,
  deadAreSilent,
];

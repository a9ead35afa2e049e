/** The beats of workers in events. Inspectors see those, and who has the token of a beat can end its worker. */

interface WithBeat {
  readonly beat?: string | undefined;
}

const beats = new WeakMap<WithBeat, string>();

/** A worker for an event: where its beat is, without the token. */
export function shown<T extends WithBeat>(worker: T): T {
  const { beat } = worker;
  if (beat === undefined || !beat.includes('#')) return worker;
  const told = { ...worker, beat: beat.slice(0, beat.indexOf('#')) };
  beats.set(told, beat);
  return told;
}

/** The beat of a worker that came with an event, with its token. */
export function beatOf(worker: WithBeat): string | undefined {
  return beats.get(worker) ?? worker.beat;
}

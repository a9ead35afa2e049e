/** A trace, sorted by calls, processes and links: what the checkers look things up in. */
import type { Trace, TraceEvent, TraceEventOf } from './trace.ts';

type CallEventType =
  | 'call'
  | 'state'
  | 'task'
  | 'nack'
  | 'value'
  | 'settle'
  | 'start'
  | 'yield'
  | 'abort'
  | 'end';

export type CallTraceEvent = TraceEventOf<CallEventType>;

/** All that happened to one call, on both sides. */
export class CallHistory {
  readonly id: string;
  /** In the order of the trace. */
  readonly events: CallTraceEvent[] = [];
  #runs: readonly Run[] | undefined;

  constructor(id: string) {
    this.id = id;
  }

  /** The event with which it was made. */
  get call(): TraceEventOf<'call'> | undefined {
    return this.first('call');
  }

  all<T extends CallEventType>(type: T): TraceEventOf<T>[] {
    const found: TraceEventOf<T>[] = [];
    for (const event of this.events) if (event.type === type) found.push(event as TraceEventOf<T>);
    return found;
  }

  first<T extends CallEventType>(type: T): TraceEventOf<T> | undefined {
    for (const event of this.events) if (event.type === type) return event as TraceEventOf<T>;
    return undefined;
  }

  /** Its executions, by the order of their starts. */
  get runs(): readonly Run[] {
    this.#runs ??= this.#findRuns();
    return this.#runs;
  }

  #findRuns(): Run[] {
    const runs: Run[] = [];
    const links = new Map<string, string>();
    for (const event of this.events) {
      // Not what was sent: a worker that runs its own calls has no link to itself.
      if (event.type === 'task' && event.way === 'arrived') links.set(event.process, event.link);
      if (event.type === 'start') runs.push(new Run(event, links.get(event.process)));
      if (event.type === 'yield' || event.type === 'abort' || event.type === 'end') {
        runs.findLast((run) => run.owns(event))?.add(event);
      }
    }
    return runs;
  }
}

/** One execution of the body of a task. */
export class Run {
  readonly start: TraceEventOf<'start'>;
  /** The link that brought the task. */
  readonly link: string | undefined;
  readonly yields: TraceEventOf<'yield'>[] = [];
  abort: TraceEventOf<'abort'> | undefined;
  end: TraceEventOf<'end'> | undefined;

  constructor(start: TraceEventOf<'start'>, link: string | undefined) {
    this.start = start;
    this.link = link;
  }

  /** When it was told to stop, or ended by itself; Infinity for never. */
  get over(): number {
    return Math.min(this.abort?.at ?? Number.POSITIVE_INFINITY, this.ended);
  }

  get ended(): number {
    return this.end?.at ?? Number.POSITIVE_INFINITY;
  }

  owns({ process, attempt }: TraceEventOf<'yield' | 'abort' | 'end'>): boolean {
    return process === this.start.process && attempt === this.start.attempt;
  }

  add(event: TraceEventOf<'yield' | 'abort' | 'end'>): void {
    if (event.type === 'yield') this.yields.push(event);
    else if (event.type === 'abort') this.abort ??= event;
    else this.end ??= event;
  }
}

/** What a process did, beside calls. */
export interface ProcessHistory {
  readonly name: string;
  up: TraceEventOf<'up'> | undefined;
  gone: TraceEventOf<'gone'> | undefined;
  /** The first thing that it did after it was gone. */
  haunts: TraceEvent | undefined;
}

type Packet = TraceEventOf<'packet'>;

export class TraceIndex {
  readonly calls = new Map<string, CallHistory>();
  readonly processes = new Map<string, ProcessHistory>();
  readonly uncaught: TraceEventOf<'uncaught'>[] = [];
  readonly held: TraceEventOf<'held'>[] = [];
  healed: TraceEventOf<'healed'> | undefined;
  /** When each side of a link learned of its end, by `link process`. */
  readonly #downs = new Map<string, TraceEventOf<'link'>>();
  /** What arrived, by `link sender`, in the order of arrival. */
  readonly #packets = new Map<string, Packet[]>();

  constructor(trace: Trace) {
    for (const event of trace) this.#add(event);
  }

  process(name: string): ProcessHistory {
    let process = this.processes.get(name);
    if (process === undefined) {
      process = { name, up: undefined, gone: undefined, haunts: undefined };
      this.processes.set(name, process);
    }
    return process;
  }

  /** When a process was gone; Infinity for never. */
  goneAt(name: string): number {
    return this.processes.get(name)?.gone?.at ?? Number.POSITIVE_INFINITY;
  }

  /** The event with which `process` learned that the link is down. */
  down(link: string, process: string): TraceEventOf<'link'> | undefined {
    return this.#downs.get(`${link} ${process}`);
  }

  /** The first packet of `from` on the link that was sent at `since` or later, and arrived. */
  firstPacket(link: string, from: string, since: number): Packet | undefined {
    const packets = this.#packets.get(`${link} ${from}`) ?? [];
    // Packets of one side arrive in the order in which they were sent.
    let low = 0;
    let high = packets.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((packets[middle] as Packet).sent < since) low = middle + 1;
      else high = middle;
    }
    return packets[low];
  }

  #call(id: string): CallHistory {
    let call = this.calls.get(id);
    if (call === undefined) {
      call = new CallHistory(id);
      this.calls.set(id, call);
    }
    return call;
  }

  #add(event: TraceEvent): void {
    const process = this.process(event.process);
    if (process.gone !== undefined && acts(event)) process.haunts ??= event;
    switch (event.type) {
      case 'up':
        process.up = event;
        return;
      case 'gone':
        process.gone ??= event;
        return;
      case 'held':
        this.held.push(event);
        return;
      case 'uncaught':
        this.uncaught.push(event);
        return;
      case 'healed':
        this.healed = event;
        return;
      case 'link': {
        const key = `${event.link} ${event.process}`;
        if (event.state === 'down' && !this.#downs.has(key)) this.#downs.set(key, event);
        return;
      }
      case 'packet': {
        const key = `${event.link} ${event.from}`;
        const packets = this.#packets.get(key);
        if (packets) packets.push(event);
        else this.#packets.set(key, [event]);
        return;
      }
      case 'fault':
      case 'note':
        return;
      default:
        this.#call(event.id).events.push(event);
    }
  }
}

/** What a process does, and not what is done to it. */
function acts({ type }: TraceEvent): boolean {
  return type !== 'gone' && type !== 'link' && type !== 'packet' && type !== 'fault';
}

/** Runs scripts, on a caller or a worker or in the oracle, and notes what happens. */
import type { Body, Call, GeneratorBody, Op, Place, Step } from './script.ts';
import {
  type Held,
  packetOf,
  type Reply,
  ScriptFailure,
  type StepPacket,
  type StepResult,
  type Steps,
  type TaskPacket,
  type Value,
  type World,
} from './world.ts';

/** The routine that runs a function's script. */
export async function interpret(body: Body, packet: TaskPacket, world: World): Promise<Reply> {
  const task = new Task(packet, world);
  let failure: ScriptFailure | undefined;
  let reply: Reply | undefined;
  try {
    await task.run(body.ops, world);
    await task.finish(world);
    reply = task.reply(body.give);
  } catch (error) {
    failure = await task.failure(error, world);
  }
  if (packet.gate) await world.pass(packet.gate);
  if (failure) throw failure;
  return reply as Reply;
}

/** The routine that runs a generator's script. */
export async function* interpretGenerator(
  { parts, catches, cleanup }: GeneratorBody,
  packet: TaskPacket,
  world: World,
): AsyncGenerator<Reply, Reply, StepPacket> {
  const task = new Task(packet, world);
  let { gate } = packet;
  let ended = false;
  const answers = async () => {
    if (gate) await world.pass(gate);
  };
  try {
    for (const part of parts.slice(0, -1)) {
      await task.run(part.ops, world);
      await answers();
      let step: StepPacket | undefined;
      let thrown: unknown;
      try {
        step = yield task.reply(part.give);
      } catch (error) {
        thrown = error;
      }
      gate = step?.gate;
      if (thrown !== undefined && !catches) throw thrown;
      if (thrown !== undefined) task.note('caught');
      task.take(step?.held ?? packetOf(thrown)?.held ?? [], world);
    }
    const last = parts.at(-1) as Body;
    await task.run(last.ops, world);
    await task.close(world);
    await answers();
    ended = true;
    return task.reply(last.give);
  } catch (error) {
    ended = true;
    const failure = await task.failure(error, world);
    await answers();
    throw failure;
  } finally {
    // The consumer ended it.
    if (!ended) {
      task.note('ended early');
      await task.run(cleanup.ops, world);
      await task.close(world);
      // biome-ignore lint/correctness/noUnsafeFinally: what is returned here is what the consumer gets
      return task.reply(cleanup.give);
    }
  }
}

/** A generator that the script of a task made. */
interface Made {
  readonly name: string;
  readonly steps: Steps;
  /** The gate at which its first step waits. */
  readonly gate: string;
  begun: boolean;
  /** A step of it is out. */
  busy: boolean;
}

/** One task: its tokens, its generators, and its trace. */
export class Task {
  readonly name: string;
  readonly #run: string;
  readonly #hand: Held[] = [];
  readonly #generators: Made[] = [];
  readonly #trace: string[] = [];
  /** The gates of detached operations that nobody has woken. */
  readonly #detached: string[] = [];
  /** How many of its own are not over. */
  #flows = 0;
  #strikes = 0;
  #sets = 0;
  #children = 0;
  #detachments = 0;
  #held = 0;

  constructor({ name, run, held, begun }: TaskPacket, world: World) {
    this.name = name;
    this.#run = run;
    if (begun) world.open(begun);
    this.take(held, world);
  }

  /** What was noted since this was last asked for. */
  drain(): string[] {
    return this.#trace.splice(0);
  }

  note(line: string): void {
    this.#trace.push(line);
  }

  reply(give: readonly Place[]): Reply {
    return this.#reply(this.#pick(give));
  }

  #reply(held: readonly Held[]): Reply {
    const detached = this.#detached.splice(0);
    return { held, trace: this.drain(), ...(detached.length > 0 && { detached }) };
  }

  async failure(error: unknown, world: World): Promise<ScriptFailure> {
    const held = packetOf(error)?.held;
    // No script says so: the interpreter or what it runs on is at fault.
    if (held === undefined) throw error;
    await this.finish(world);
    return new ScriptFailure(this.#reply(held));
  }

  /** Ends what is left, unless detached operations may need it. */
  async finish(world: World): Promise<void> {
    if (this.#flows === 0) await this.close(world);
  }

  /** Ends the generators that are left, the newest first. */
  async close(world: World): Promise<void> {
    for (const made of this.#generators.toReversed()) {
      if (made.begun && !made.steps.isOver && !made.busy) await this.#return(made, world);
    }
  }

  async run(ops: readonly Op[], world: World): Promise<void> {
    for (const op of ops) await this.perform(op, world);
  }

  async perform(op: Op, world: World): Promise<void> {
    switch (op.op) {
      case 'get':
        return this.#get(op, world);
      case 'set':
        return this.#set(op, world);
      case 'reset':
        return this.#reset(op, world);
      case 'spend': {
        const op = 'reset' as const;
        const { length } = this.#hand;
        for (let token = 0; token < length; token += 1) this.#reset({ op, token }, world);
        return;
      }
      case 'old':
        return this.#old(op, world);
      case 'chain': {
        const id = world.id();
        return this.note(id === undefined ? 'no armed chain' : `chain <${id}>`);
      }
      case 'fork': {
        this.note('fork');
        await world.fork((forked) => this.run(op.ops, forked));
        return this.note('end of fork');
      }
      case 'call': {
        const { name, ends } = this.#start(op.call, world);
        return this.#join(name, await ends, world);
      }
      case 'all': {
        const started = op.calls.map((call) => this.#start(call, world));
        for (const { name, ends } of started) this.#join(name, await ends, world);
        return;
      }
      case 'during':
        return await this.#during(op, world);
      case 'leave':
        this.#start(op.call, world, { gate: `${this.#run} never` });
        return;
      case 'detach':
        return this.#detach(op, world);
      case 'wake':
        return await this.wake(world);
      case 'generate':
        return this.#generate(op, world);
      case 'next':
        return await this.#next(op, world);
      case 'nextDuring':
        return await this.#nextDuring(op, world);
      case 'return': {
        const made = this.#made(op.generator);
        return made && (await this.#return(made, world));
      }
      case 'throw': {
        const made = this.#made(op.generator);
        if (made === undefined) return;
        const failure = new ScriptFailure({ held: this.#pick(op.pass) });
        this.note(`throw into ${made.name}`);
        return this.#joinStep(made, await settled(world.throw(made.steps, failure)), world);
      }
      case 'strike':
        this.note(op.kind);
        this.#strikes += 1;
        return await world.strike(op, this.#gate(`${this.name} strike ${this.#strikes}`));
      case 'fail':
        this.note('fails');
        throw new ScriptFailure({ held: this.#pick(op.give) });
    }
  }

  #get({ v, fallback }: Op & { op: 'get' }, world: World): void {
    const value = world.get(v, fallback ? { name: 'fallback', held: [] } : undefined);
    this.note(`get v${v}: ${nameOf(value)}`);
    this.take(value?.held ?? [], world);
  }

  #set({ v, hold }: Op & { op: 'set' }, world: World): void {
    this.#sets += 1;
    const name = `${this.name}:${this.#sets}`;
    const token = world.set(v, { name, held: this.#pick(hold) });
    this.#hand.push({ name, uid: world.uid(), token });
    this.note(`set v${v} = ${name}, was ${nameOf(world.describe(token).old)}`);
  }

  #reset({ v: given, token: place }: Op & { op: 'reset' }, world: World): void {
    const [held] = this.#pick([place]);
    const v = given ?? (held ? world.describe(held.token).variable : 0);
    let outcome = 'ok';
    try {
      world.reset(v, held ? held.token : {});
    } catch (error) {
      outcome = (error as Error).name;
    }
    this.note(`reset v${v} with ${held?.name ?? 'no token'}: ${outcome}`);
    if (held && outcome === 'ok') world.accept(held);
  }

  #old({ token: place }: Op & { op: 'old' }, world: World): void {
    const [held] = this.#pick([place]);
    if (held === undefined) return;
    const { old } = world.describe(held.token);
    this.note(`old value of ${held.name}: ${nameOf(old)}`);
    this.take(old?.held ?? [], world);
  }

  /** Takes tokens into the hand; those that are there already must be the same objects. */
  take(held: readonly Held[], world: World): void {
    for (const one of held) {
      const known = this.#hand.find(({ name }) => name === one.name);
      if (known === undefined) {
        this.#hand.push(one);
        const { variable, old } = world.describe(one.token);
        this.note(`got ${one.name}: v${variable}, was ${nameOf(old)}`);
      } else {
        const same = known.token === one.token;
        this.note(`got ${one.name} ${same ? 'again' : 'as another object'}`);
      }
    }
  }

  #pick(places: readonly Place[]): Held[] {
    const hand = this.#hand;
    if (hand.length === 0) return [];
    return places.map((place) => hand[hand.length - 1 - (place % hand.length)] as Held);
  }

  #child(): string {
    this.#children += 1;
    return `${this.name}.${this.#children}`;
  }

  #gate(name: string): string {
    return `${this.#run} ${name}`;
  }

  #start(
    { body, pass, idempotent }: Call,
    world: World,
    more: { gate?: string; begun?: string; signal?: AbortSignal } = {},
  ) {
    const { signal, ...gates } = more;
    const how = { idempotent, signal };
    const name = this.#child();
    const packet = { name, run: this.#run, held: this.#pick(pass), ...gates };
    this.note(`call ${name}`);
    return { name, ends: settled(world.call(body, packet, how)) };
  }

  #detach({ ops }: Op & { op: 'detach' }, world: World): void {
    const gate = this.#gate(`${this.name} detached ${this.#detachments}`);
    this.#detachments += 1;
    this.#detached.push(gate);
    this.#flows += 1;
    const flow = async () => {
      await world.pass(gate);
      try {
        await this.run(ops, world);
      } catch (error) {
        if (packetOf(error) === undefined) throw error;
      }
      this.#flows -= 1;
      await this.finish(world);
      world.open(`${gate} over`, this.drain());
    };
    // Where the task is cancelled, or its process ends, nobody waits for it.
    flow().catch(() => {});
    this.note('detach');
  }

  async wake(world: World): Promise<void> {
    for (const gate of this.#detached.splice(0)) {
      world.open(gate);
      this.note('wake');
      this.#inner(await world.pass(`${gate} over`));
    }
  }

  /** Adds what a call did to the trace. */
  #join(name: string, end: Settled<Reply>, world: World): void {
    const { how, reply } = end.ok
      ? { how: 'returned', reply: end.value }
      : { how: 'failed', reply: packetOf<Reply>(end.error) };
    this.#inner(reply?.trace ?? []);
    this.#detached.push(...(reply?.detached ?? []));
    if (reply === undefined) this.note(`${name} ended with ${(end as Failed).error.name}`);
    else this.note(`${name} ${how}`);
    this.take(reply?.held ?? [], world);
  }

  #inner(lines: readonly string[]): void {
    for (const line of lines) this.note(`  ${line}`);
  }

  async #during({ call, ops, cancel }: Op & { op: 'during' }, world: World): Promise<void> {
    const gate = this.#gate(`${this.name}.${this.#children + 1}`);
    const begun = `${gate} begun`;
    const controller = cancel ? new AbortController() : undefined;
    const gates = controller ? { gate, begun, signal: controller.signal } : { gate };
    const { name, ends } = this.#start(call, world, gates);
    try {
      await this.run(ops, world);
    } finally {
      if (controller) {
        // A call that is refused never begins.
        await Promise.race([world.pass(begun), ends]);
        controller.abort();
      } else world.open(gate);
      this.#join(name, await ends, world);
    }
  }

  #generate({ body, pass, idempotent }: Op & { op: 'generate' }, world: World): void {
    const name = this.#child();
    const gate = this.#gate(name);
    const packet = { name, run: this.#run, held: this.#pick(pass), gate };
    this.#generators.push({
      name,
      steps: world.generate(body, packet, { idempotent }),
      gate,
      begun: false,
      busy: false,
    });
    this.note(`generator ${name}`);
  }

  /** The generator with this number, when there is one and no step of it is out. */
  #made(number: number): Made | undefined {
    const all = this.#generators;
    const made = all[all.length - 1 - (number % all.length)];
    if (made && !made.busy) return made;
    this.note(made ? `${made.name} is busy` : 'no generator');
    return undefined;
  }

  async #next({ steps, step }: Op & { op: 'next' }, world: World): Promise<void> {
    const made = this.#made(step.generator);
    if (made === undefined) return;
    const ends = Array.from({ length: steps }, () => this.#step(made, step, world));
    for (const end of ends) this.#joinStep(made, await end, world);
  }

  async #nextDuring({ step, ops }: Op & { op: 'nextDuring' }, world: World): Promise<void> {
    const made = this.#made(step.generator);
    if (made === undefined) return;
    this.#held += 1;
    const gate = this.#gate(`${made.name} ${this.#held}`);
    const isFirst = !made.begun;
    made.busy = true;
    const ends = this.#step(made, step, world, gate);
    try {
      await this.run(ops, world);
    } finally {
      world.open(isFirst ? made.gate : gate);
      this.#joinStep(made, await ends, world);
      made.busy = false;
    }
  }

  #step(made: Made, { pass }: Step, world: World, gate?: string): Promise<Settled<StepResult>> {
    this.note(`next of ${made.name}`);
    const isFirst = !made.begun;
    made.begun = true;
    if (isFirst && gate === undefined) world.open(made.gate);
    const held = isFirst ? [] : this.#pick(pass);
    return settled(world.next(made.steps, { held, ...(gate && !isFirst && { gate }) }));
  }

  async #return(made: Made, world: World): Promise<void> {
    this.note(`return of ${made.name}`);
    this.#joinStep(made, await settled(world.return(made.steps)), world);
  }

  #joinStep(made: Made, end: Settled<StepResult>, world: World): void {
    const { name } = made;
    if (!end.ok) return this.#join(name, end, world);
    const { done, value } = end.value;
    this.#inner(value?.trace ?? []);
    this.#detached.push(...(value?.detached ?? []));
    this.note(`${name} ${value ? (done ? 'returned' : 'yielded') : 'is over'}`);
    this.take(value?.held ?? [], world);
  }
}

type Failed = { readonly ok: false; readonly error: Error };
type Settled<T> = { readonly ok: true; readonly value: T } | Failed;

async function settled<T>(promise: Promise<T>): Promise<Settled<T>> {
  try {
    return { ok: true, value: await promise };
  } catch (error) {
    return { ok: false, error: error as Error };
  }
}

function nameOf(value: Value | undefined): string {
  return value?.name ?? 'unset';
}

/**
 * What scripts of context variables must do, by the rules alone, which for tokens are those of
 * Python. Nothing here is remote, and nothing is imported from the runtime: a call copies
 * a chain, runs its body on the copy, and merges.
 *
 * A *site* is what one task knows, a *chain* what one flow of code in it shares. The same flow has one
 * chain on each side of a call, with the same id.
 */
import { Gates } from './gates.ts';
import { interpret, interpretGenerator } from './interpreter.ts';
import { type Body, defaultOf, type GeneratorBody, type Variable } from './script.ts';
import {
  type Held,
  type How,
  packetOf,
  type Reply,
  type ScriptFailure,
  type StepPacket,
  type StepResult,
  type Steps,
  type TaskPacket,
  type Value,
  type World,
} from './world.ts';

type Values = ReadonlyMap<Variable, Value>;

/** `set` made it; `old` is what it would restore. */
class OracleToken {
  readonly name: string;
  readonly variable: Variable;
  readonly old: Value | undefined;

  constructor(name: string, variable: Variable, old: Value | undefined) {
    this.name = name;
    this.variable = variable;
    this.old = old;
  }
}

class Refusal extends Error {
  constructor(name: string) {
    super(name);
    this.name = name;
  }
}

/** The tokens that travel with some values: those in them, and those in what these would restore. */
function tokensIn(values: Iterable<Value | undefined>): Set<OracleToken> {
  const found = new Set<OracleToken>();
  const visit = (value: Value | undefined) => {
    for (const { token } of value?.held ?? []) {
      if (!(token instanceof OracleToken) || found.has(token)) continue;
      found.add(token);
      visit(token.old);
    }
  };
  for (const value of values) visit(value);
  return found;
}

function valueWith(held: readonly Held[]): Value {
  return { name: 'packet', held };
}

/** What one task knows. */
class Site {
  readonly callsOut = new Set<CallOut>();
  readonly #used = new Set<OracleToken>();
  readonly #spent: Set<string>;

  constructor(spent: Set<string>) {
    this.#spent = spent;
  }

  /** Whether a token was used, as far as it was told. */
  isUsed(token: OracleToken): boolean {
    return this.#used.has(token);
  }

  use(token: OracleToken): void {
    this.#used.add(token);
    this.#spent.add(token.name);
  }

  /** The task is answered: what calls still have that it made in whichever chain may be said to be used. */
  answer(): void {
    for (const { lent } of this.callsOut) for (const { name } of lent) this.#spent.add(name);
  }
}

let ids = 0;

class Chain {
  /** It has one once it is armed: when a first value was set in it, or arrived in it. */
  id: string | undefined;
  values: Map<Variable, Value>;
  /** The tokens that can be reset here. Of all chains, at most one has a token. */
  readonly rights = new Set<OracleToken>();
  readonly callsOut = new Set<CallOut>();

  constructor(id?: string, values: Values = new Map()) {
    this.id = id;
    this.values = new Map(values);
  }

  static freshId(): string {
    ids += 1;
    return `chain-${ids}`;
  }

  set(variable: Variable, value: Value): OracleToken {
    this.id ??= Chain.freshId();
    const token = new OracleToken(value.name, variable, this.values.get(variable));
    this.rights.add(token);
    this.#change(variable, value);
    return token;
  }

  reset(variable: Variable, token: unknown, site: Site): void {
    if (!(token instanceof OracleToken)) throw new Refusal('TypeError');
    if (site.isUsed(token)) throw new Refusal('TokenUsedError');
    if (token.variable !== variable) throw new Refusal('TokenVariableError');
    for (const call of this.callsOut) {
      if (call.lent.has(token)) throw new Refusal('ChainContention');
    }
    if (!this.rights.delete(token)) throw new Refusal('TokenChainError');
    site.use(token);
    this.#change(variable, token.old);
  }

  /** The values are copied; tokens stay behind, and nothing flows back. */
  fork(): Chain {
    return new Chain(this.id && Chain.freshId(), this.values);
  }

  /** Its task was answered: what goes on is a fork, and keeps the tokens that did not cross. */
  leave(crossed: Iterable<OracleToken>): void {
    this.id &&= Chain.freshId();
    for (const token of crossed) this.rights.delete(token);
  }

  /** What changes here while a call is out wins over what the call brings back. */
  #change(variable: Variable, value: Value | undefined): void {
    if (value) this.values.set(variable, value);
    else this.values.delete(variable);
    this.loseMerges();
  }

  loseMerges(): void {
    for (const call of this.callsOut) call.merges = false;
  }
}

/** Where a call goes. */
interface Worker {
  readonly site: Site;
  /** The chain there with this id; a new one by default. */
  chainOf?(id: string | undefined): Chain;
  /** The tokens that have crossed with it before. */
  readonly known?: Iterable<OracleToken>;
}

/** A call, or a step of a generator, between its start and its end. */
class CallOut {
  /** Whether what it changes comes back. */
  merges: boolean;
  /** The tokens whose right is with the worker while it is out. */
  readonly lent: ReadonlySet<OracleToken>;
  /** The tokens that went out with it, lent or not, or came back. */
  readonly crossed: Set<OracleToken>;
  /** The chain on the worker's side. */
  readonly remote: Chain;
  readonly #site: Site;
  readonly #chain: Chain;
  readonly #remoteSite: Site;
  readonly #sent: Values;

  constructor({ site, chain }: OracleWorld, held: readonly Held[], worker: Worker) {
    this.#site = site;
    this.#chain = chain;
    this.#remoteSite = worker.site;
    this.#sent = new Map(chain.values);

    const carried = tokensIn([valueWith(held), ...chain.values.values()]);
    for (const token of worker.known ?? []) carried.add(token);
    for (const token of carried) if (site.isUsed(token)) worker.site.use(token);

    // Nothing else is out: it continues the chain. Otherwise it is a fork, and nothing merges.
    this.merges = chain.callsOut.size === 0;
    const id = this.merges ? chain.id : chain.id && Chain.freshId();
    this.remote = worker.chainOf?.(id) ?? new Chain(id);
    this.remote.values = new Map(chain.values);
    const lent = new Set<OracleToken>();
    if (this.merges) {
      for (const token of carried) if (chain.rights.delete(token)) lent.add(token);
    }
    this.lent = lent;
    this.crossed = carried;
    for (const token of lent) this.remote.rights.add(token);

    chain.loseMerges();
    chain.callsOut.add(this);
    site.callsOut.add(this);
  }

  /** The worker answered, with a result or an error. */
  end(held: readonly Held[]): void {
    this.#over();
    this.#remoteSite.answer();
    const changed = this.#changes();
    const back = tokensIn([valueWith(held), ...changed.values()]);
    for (const token of back) this.crossed.add(token);
    this.#learn(back);
    for (const token of this.lent) this.#move(token);
    if (!this.merges) return;

    for (const [variable, value] of changed) {
      if (value) this.#chain.values.set(variable, value);
      else this.#chain.values.delete(variable);
    }
    this.#chain.id ??= this.remote.id;
    for (const token of back) this.#move(token);
  }

  /** It ended, and the worker did not say how: it may have used what it was lent. */
  lose(): void {
    this.#over();
    for (const token of this.lent) this.#site.use(token);
  }

  #over(): void {
    this.#chain.callsOut.delete(this);
    this.#site.callsOut.delete(this);
  }

  /** The variables that are not as they were sent; undefined for unset. */
  #changes(): Map<Variable, Value | undefined> {
    const { values } = this.remote;
    const all = new Set([...values.keys(), ...this.#sent.keys()]);
    const changed = [...all].filter(
      (variable) => values.get(variable) !== this.#sent.get(variable),
    );
    return new Map(changed.map((variable) => [variable, values.get(variable)]));
  }

  /** What was used there is used here, and so is what crossed and a call of its own still has. */
  #learn(back: Iterable<OracleToken>): void {
    const remote = this.#remoteSite;
    for (const { lent } of this.remote.callsOut) {
      for (const token of lent) if (this.crossed.has(token)) remote.use(token);
    }
    for (const token of [...back, ...this.lent]) if (remote.isUsed(token)) this.#site.use(token);
  }

  #move(token: OracleToken): void {
    if (this.remote.rights.delete(token)) this.#chain.rights.add(token);
  }
}

/** The body of a generator. It sees the chain of whoever asks for the next value. */
class Generator implements Steps {
  readonly world: OracleWorld;
  readonly #body: AsyncGenerator<Reply, Reply, StepPacket>;
  readonly #packet: TaskPacket;
  /** The chains that asked so far. */
  readonly #chains: Chain[] = [];
  /** The tokens that have crossed with it. All its steps carry them. */
  readonly #known = new Set<OracleToken>();
  #state: 'fresh' | 'begun' | 'over' = 'fresh';
  /** Steps are taken one after the other: each is out only when those before it have ended. */
  #last: Promise<unknown> | undefined;

  constructor(body: GeneratorBody, packet: TaskPacket, maker: OracleWorld) {
    this.world = maker.elsewhere(new Chain());
    this.#packet = packet;
    this.#body = interpretGenerator(body, packet, this.world);
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  step(
    asker: OracleWorld,
    kind: 'next' | 'return' | 'throw',
    packet: StepPacket,
    failure?: ScriptFailure,
  ): Promise<StepResult> {
    const take = async (): Promise<StepResult> => {
      if (this.#state === 'fresh' && kind !== 'next') this.#state = 'over';
      if (this.#state === 'over') {
        if (failure) throw failure;
        return { done: true, value: undefined };
      }
      const held = this.#state === 'fresh' ? this.#packet.held : packet.held;
      this.#state = 'begun';
      return await this.#take(asker, held, () => {
        if (kind === 'next') return this.#body.next(packet);
        return kind === 'return'
          ? this.#body.return(undefined as unknown as Reply)
          : this.#body.throw(failure);
      });
    };
    const result = this.#last ? this.#last.then(take) : take();
    const last: Promise<void> = result.then(
      () => this.#ended(last),
      () => this.#ended(last),
    );
    this.#last = last;
    return result;
  }

  #ended(step: Promise<unknown>): void {
    if (this.#last === step) this.#last = undefined;
  }

  async #take(
    asker: OracleWorld,
    held: readonly Held[],
    go: () => Promise<IteratorResult<Reply, Reply>>,
  ): Promise<StepResult> {
    const { site } = this.world;
    const chainOf = (id: string | undefined) => this.#chainOf(id);
    const call = new CallOut(asker, held, { site, chainOf, known: this.#known });
    this.world.chain = call.remote;
    try {
      const result = await go();
      if (result.done) this.#state = 'over';
      call.end(result.value.held);
      for (const token of call.crossed) this.#known.add(token);
      return result;
    } catch (error) {
      this.#state = 'over';
      call.end(packetOf(error)?.held ?? []);
      throw error;
    }
  }

  /**
   * The same chain goes on when it asks again; its values are brought up to date. One that is not armed can't
   * be told from another: it is a new one each time.
   */
  #chainOf(id: string | undefined): Chain {
    const known = id === undefined ? undefined : this.#chains.find((chain) => chain.id === id);
    if (known) return known;
    const chain = new Chain(id);
    this.#chains.push(chain);
    return chain;
  }
}

interface Shared {
  readonly gates: Gates;
  readonly spent: Set<string>;
  readonly accepted: string[];
}

/** Code that runs in one chain of one task. */
export class OracleWorld implements World {
  readonly site: Site;
  chain: Chain;
  readonly #shared: Shared;

  constructor(site: Site, chain: Chain, shared: Shared) {
    this.site = site;
    this.chain = chain;
    this.#shared = shared;
  }

  /** The first code of a new task. */
  elsewhere(chain: Chain): OracleWorld {
    return new OracleWorld(new Site(this.#shared.spent), chain, this.#shared);
  }

  /** The names of all tokens that were used anywhere, or count so. */
  get spent(): ReadonlySet<string> {
    return this.#shared.spent;
  }

  /** The names of the tokens that a reset took, anywhere. */
  get accepted(): readonly string[] {
    return this.#shared.accepted;
  }

  get(variable: Variable, fallback?: Value): Value | undefined {
    return this.chain.values.get(variable) ?? fallback ?? defaultOf(variable);
  }

  set(variable: Variable, value: Value): OracleToken {
    return this.chain.set(variable, value);
  }

  reset(variable: Variable, token: unknown): void {
    this.chain.reset(variable, token, this.site);
  }

  describe(token: object): { variable: Variable; old: Value | undefined } {
    return token as OracleToken;
  }

  id(): string | undefined {
    return this.chain.id;
  }

  fork<T>(fn: (world: World) => Promise<T>): Promise<T> {
    return fn(new OracleWorld(this.site, this.chain.fork(), this.#shared));
  }

  async call(body: Body, packet: TaskPacket, { signal }: How): Promise<Reply> {
    const worker = this.elsewhere(new Chain());
    const call = new CallOut(this, packet.held, worker);
    worker.chain = call.remote;
    const runs = interpret(body, packet, worker);
    try {
      const reply = await Promise.race([runs, ...(signal ? [aborted(signal)] : [])]);
      call.end(reply.held);
      call.remote.leave(call.crossed);
      return reply;
    } catch (error) {
      const held = packetOf(error)?.held;
      if (held) {
        call.end(held);
        call.remote.leave(call.crossed);
      } else call.lose();
      throw error;
    }
  }

  generate(body: GeneratorBody, packet: TaskPacket): Steps {
    return new Generator(body, packet, this);
  }

  next(steps: Steps, packet: StepPacket): Promise<StepResult> {
    return (steps as Generator).step(this, 'next', packet);
  }

  return(steps: Steps): Promise<StepResult> {
    return (steps as Generator).step(this, 'return', { held: [] });
  }

  throw(steps: Steps, failure: ScriptFailure): Promise<StepResult> {
    return (steps as Generator).step(this, 'throw', failure.packet, failure);
  }

  strike(): never {
    throw new Error('the oracle knows of no faults');
  }

  uid(): string {
    return '';
  }

  accept({ name }: Held): void {
    this.#shared.accepted.push(name);
  }

  pass(gate: string): Promise<readonly string[]> {
    return this.#shared.gates.pass(gate);
  }

  open(gate: string, lines?: readonly string[]): void {
    this.#shared.gates.open(gate, lines);
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

/** The flow of a caller, in which no variable is set. */
export function oracle(): OracleWorld {
  const shared = { gates: new Gates(), spent: new Set<string>(), accepted: [] };
  return new OracleWorld(new Site(shared.spent), new Chain(), shared);
}

/** The rules, each as a script and what it does. */
import {
  all,
  body,
  call,
  cancelled,
  chain,
  detach,
  during,
  end,
  fail,
  fork,
  generate,
  get,
  getOr,
  leave,
  next,
  nextDuring,
  old,
  queue,
  reset,
  set,
  throwInto,
  to,
  wake,
} from './ops.ts';
import type { Op } from './script.ts';

export interface Row {
  readonly what: string;
  readonly script: readonly Op[];
  /** One line for each thing that happens; those of a task on a worker are indented. */
  readonly trace: string;
}

export const ROWS: readonly Row[] = [
  {
    what: 'a variable: the value, else the argument, else the default, else unset',
    script: [get(0), getOr(0), get(1), getOr(1), set(1), get(1), getOr(1)],
    trace: `
      get v0: unset
      get v0: fallback
      get v1: default
      get v1: fallback
      set v1 = r:1, was unset
      get v1: r:1
      get v1: r:1`,
  },
  {
    what: 'a reset restores what the set replaced',
    script: [set(0), set(0), reset(0), get(0), reset(0, 1), get(0)],
    trace: `
      set v0 = r:1, was unset
      set v0 = r:2, was r:1
      reset v0 with r:2: ok
      get v0: r:1
      reset v0 with r:1: ok
      get v0: unset`,
  },
  {
    what: 'the checks of a reset: token, used, variable, chain',
    script: [reset(0), set(0), reset(1), reset(0), reset(1), fork(set(1)), reset(0), reset(1)],
    trace: `
      reset v0 with no token: TypeError
      set v0 = r:1, was unset
      reset v1 with r:1: TokenVariableError
      reset v0 with r:1: ok
      reset v1 with r:1: TokenUsedError
      fork
      set v1 = r:2, was unset
      end of fork
      reset v0 with r:2: TokenVariableError
      reset v1 with r:2: TokenChainError`,
  },
  {
    what: 'a chain is armed by its first set, and a fork of it has another id',
    script: [chain, fork(chain), set(0), chain, fork(chain, set(0), chain), get(0)],
    trace: `
      no armed chain
      fork
      no armed chain
      end of fork
      set v0 = r:1, was unset
      chain 1
      fork
      chain 2
      set v0 = r:2, was r:1
      chain 2
      end of fork
      get v0: r:1`,
  },
  {
    what: 'an unarmed fork is armed by itself',
    script: [fork(set(0), chain), chain, get(0)],
    trace: `
      fork
      set v0 = r:1, was unset
      chain 1
      end of fork
      no armed chain
      get v0: unset`,
  },
  {
    what: 'a fork is a copy, and can not use the tokens of its origin',
    script: [set(0), fork(get(0), reset(0), set(0)), get(0), reset(0), reset(0, 1), get(0)],
    trace: `
      set v0 = r:1, was unset
      fork
      get v0: r:1
      reset v0 with r:1: TokenChainError
      set v0 = r:2, was r:1
      end of fork
      get v0: r:1
      reset v0 with r:2: TokenChainError
      reset v0 with r:1: ok
      get v0: unset`,
  },
  {
    what: 'an awaited call continues the chain, and what it sets comes back',
    script: [set(0), chain, call([chain, get(0), set(0), set(2)]), get(0), get(2), chain],
    trace: `
      set v0 = r:1, was unset
      chain 1
      call r.1
        chain 1
        get v0: r:1
        set v0 = r.1:1, was r:1
        set v2 = r.1:2, was unset
      r.1 returned
      get v0: r.1:1
      get v2: r.1:2
      chain 1`,
  },
  {
    what: 'an unarmed chain takes over the id that the call armed',
    script: [call([chain, set(0), chain]), chain, get(0)],
    trace: `
      call r.1
        no armed chain
        set v0 = r.1:1, was unset
        chain 1
      r.1 returned
      chain 1
      get v0: r.1:1`,
  },
  {
    what: 'what a call resets is unset here',
    script: [set(0), call([reset(0), get(0)], { pass: [0] }), get(0), reset(0)],
    trace: `
      set v0 = r:1, was unset
      call r.1
        got r:1: v0, was unset
        reset v0 with r:1: ok
        get v0: unset
      r.1 returned
      get v0: unset
      reset v0 with r:1: TokenUsedError`,
  },
  {
    what: 'calls nest',
    script: [call([set(0), call([get(0), set(0), call([get(0), set(0)])]), get(0)]), get(0)],
    trace: `
      call r.1
        set v0 = r.1:1, was unset
        call r.1.1
          get v0: r.1:1
          set v0 = r.1.1:1, was r.1:1
          call r.1.1.1
            get v0: r.1.1:1
            set v0 = r.1.1.1:1, was r.1.1:1
          r.1.1.1 returned
        r.1.1 returned
        get v0: r.1.1.1:1
      r.1 returned
      get v0: r.1.1.1:1`,
  },
  {
    what: 'changes before an error come back with it',
    script: [call([set(0), fail()]), get(0)],
    trace: `
      call r.1
        set v0 = r.1:1, was unset
        fails
      r.1 failed
      get v0: r.1:1`,
  },
  {
    what: 'calls that overlap are forks: each sees the chain as it was, and nothing merges',
    script: [
      set(0),
      chain,
      all(to([chain, get(0), set(0)]), to([chain, get(0), set(0)])),
      get(0),
      call([chain]),
    ],
    trace: `
      set v0 = r:1, was unset
      chain 1
      call r.1
      call r.2
        chain 1
        get v0: r:1
        set v0 = r.1:1, was r:1
      r.1 returned
        chain 2
        get v0: r:1
        set v0 = r.2:1, was r:1
      r.2 returned
      get v0: r:1
      call r.3
        chain 1
      r.3 returned`,
  },
  {
    what: 'a set while a call is out wins, and the call merges nothing',
    script: [set(0), during(to([set(0), set(2)]), set(0)), get(0), get(2)],
    trace: `
      set v0 = r:1, was unset
      call r.1
      set v0 = r:2, was r:1
        set v0 = r.1:1, was r:1
        set v2 = r.1:2, was unset
      r.1 returned
      get v0: r:2
      get v2: unset`,
  },
  {
    what: 'a reset while a call is out does so too',
    script: [set(0), during(to([set(2)]), reset(0)), get(0), get(2)],
    trace: `
      set v0 = r:1, was unset
      call r.1
      reset v0 with r:1: ok
        set v2 = r.1:1, was unset
      r.1 returned
      get v0: unset
      get v2: unset`,
  },
  {
    what: 'a refused reset, a get and a fork do not',
    script: [set(0), during(to([set(2)]), reset(1), get(0), fork(set(0))), get(0), get(2)],
    trace: `
      set v0 = r:1, was unset
      call r.1
      reset v1 with r:1: TokenVariableError
      get v0: r:1
      fork
      set v0 = r:2, was r:1
      end of fork
        set v2 = r.1:1, was unset
      r.1 returned
      get v0: r:1
      get v2: r.1:1`,
  },
  {
    what: 'a second call while one is out takes the merge of the first; the next continues again',
    script: [during(to([set(0)]), call([set(0)]), get(0)), get(0), call([set(0)]), get(0)],
    trace: `
      call r.1
      call r.2
        set v0 = r.2:1, was unset
      r.2 returned
      get v0: unset
        set v0 = r.1:1, was unset
      r.1 returned
      get v0: unset
      call r.3
        set v0 = r.3:1, was unset
      r.3 returned
      get v0: r.3:1`,
  },
  {
    what: 'a token spent on the worker is spent here',
    script: [set(0), call([reset(0)], { pass: [0] }), reset(0)],
    trace: `
      set v0 = r:1, was unset
      call r.1
        got r:1: v0, was unset
        reset v0 with r:1: ok
      r.1 returned
      reset v0 with r:1: TokenUsedError`,
  },
  {
    what: 'an unspent token is free again',
    script: [set(0), call([get(0)], { pass: [0] }), reset(0), get(0)],
    trace: `
      set v0 = r:1, was unset
      call r.1
        got r:1: v0, was unset
        get v0: r:1
      r.1 returned
      reset v0 with r:1: ok
      get v0: unset`,
  },
  {
    what: 'a token made on the worker belongs to the caller',
    script: [call([set(0)], { give: [0] }), reset(0), get(0)],
    trace: `
      call r.1
        set v0 = r.1:1, was unset
      r.1 returned
      got r.1:1: v0, was unset
      reset v0 with r.1:1: ok
      get v0: unset`,
  },
  {
    what: 'also when it comes with an error',
    script: [call([set(0), fail(0)]), reset(0), get(0)],
    trace: `
      call r.1
        set v0 = r.1:1, was unset
        fails
      r.1 failed
      got r.1:1: v0, was unset
      reset v0 with r.1:1: ok
      get v0: unset`,
  },
  {
    what: 'or in a value',
    script: [call([set(0), set(2, 0)]), get(2), reset(0), get(0)],
    trace: `
      call r.1
        set v0 = r.1:1, was unset
        set v2 = r.1:2, was unset
      r.1 returned
      get v2: r.1:2
      got r.1:1: v0, was unset
      reset v0 with r.1:1: ok
      get v0: unset`,
  },
  {
    what: 'a token whose call merged nothing is an orphan',
    script: [during(to([set(0)], { give: [0] }), set(2)), reset(0), get(0)],
    trace: `
      call r.1
      set v2 = r:1, was unset
        set v0 = r.1:1, was unset
      r.1 returned
      got r.1:1: v0, was unset
      reset v0 with r.1:1: TokenChainError
      get v0: unset`,
  },
  {
    what: 'a token that is out with a call is contended, and free when it is back',
    script: [set(0), during(to([], { pass: [0] }), reset(0)), reset(0)],
    trace: `
      set v0 = r:1, was unset
      call r.1
      reset v0 with r:1: ChainContention
        got r:1: v0, was unset
      r.1 returned
      reset v0 with r:1: ok`,
  },
  {
    what: 'contention comes after the variable, and with the merge lost too',
    script: [set(0), during(to([], { pass: [0] }), reset(1), set(2), reset(0, 1))],
    trace: `
      set v0 = r:1, was unset
      call r.1
      reset v1 with r:1: TokenVariableError
      set v2 = r:2, was unset
      reset v0 with r:1: ChainContention
        got r:1: v0, was unset
      r.1 returned`,
  },
  {
    what: 'a call that is a fork gets no right: the token can be spent here meanwhile',
    script: [
      set(0),
      during(to([]), during(to([reset(0)], { pass: [0], give: [0] }), reset(0))),
      reset(0),
    ],
    trace: `
      set v0 = r:1, was unset
      call r.1
      call r.2
      reset v0 with r:1: ok
        got r:1: v0, was unset
        reset v0 with r:1: TokenChainError
      r.2 returned
      got r:1 again
      r.1 returned
      reset v0 with r:1: TokenUsedError`,
  },
  {
    what: 'tokens of a sibling travel and return unharmed',
    script: [set(2), fork(set(0)), call([reset(0)], { pass: [0], give: [0] }), reset(0)],
    trace: `
      set v2 = r:1, was unset
      fork
      set v0 = r:2, was unset
      end of fork
      call r.1
        got r:2: v0, was unset
        reset v0 with r:2: TokenChainError
      r.1 returned
      got r:2 again
      reset v0 with r:2: TokenChainError`,
  },
  {
    what: 'tokens inside of values travel along',
    script: [set(0), set(2, 0), call([get(2), reset(0)]), reset(0, 1)],
    trace: `
      set v0 = r:1, was unset
      set v2 = r:2, was unset
      call r.1
        get v2: r:2
        got r:1: v0, was unset
        reset v0 with r:1: ok
      r.1 returned
      reset v0 with r:1: TokenUsedError`,
  },
  {
    what: 'so do those in what tokens would restore',
    script: [set(0), set(2, 0), set(2), call([old(0), reset(0)], { pass: [0] }), reset(0, 2)],
    trace: `
      set v0 = r:1, was unset
      set v2 = r:2, was unset
      set v2 = r:3, was r:2
      call r.1
        got r:3: v2, was r:2
        old value of r:3: r:2
        got r:1: v0, was unset
        reset v0 with r:1: ok
      r.1 returned
      reset v0 with r:1: TokenUsedError`,
  },
  {
    what: 'a token spent in a call that lost its merge is spent',
    script: [set(0), during(to([reset(0)], { pass: [0] }), set(2)), get(0), reset(0, 1)],
    trace: `
      set v0 = r:1, was unset
      call r.1
      set v2 = r:2, was unset
        got r:1: v0, was unset
        reset v0 with r:1: ok
      r.1 returned
      get v0: r:1
      reset v0 with r:1: TokenUsedError`,
  },
  {
    what: 'the tokens of a cancelled call count as used, and nothing merges',
    script: [set(0), cancelled(to([set(2)], { pass: [0] })), get(2), reset(0)],
    trace: `
      set v0 = r:1, was unset
      call r.1
      r.1 ended with AbortError
      get v2: unset
      reset v0 with r:1: TokenUsedError`,
  },
  {
    what: 'a token that is left out with a call counts as used',
    script: [set(0), call([leave(to([], { pass: [0] }))], { pass: [0] }), reset(0)],
    trace: `
      set v0 = r:1, was unset
      call r.1
        got r:1: v0, was unset
        call r.1.1
      r.1 returned
      reset v0 with r:1: TokenUsedError`,
  },
  {
    what: 'the body of a generator sees the chain of whoever asks',
    script: [
      set(0),
      chain,
      generate([body([chain, get(0), set(0)]), body([chain, get(0)]), body([chain, get(0)])]),
      next(),
      get(0),
      fork(chain, set(0), next()),
      set(0),
      next(),
      get(0),
    ],
    trace: `
      set v0 = r:1, was unset
      chain 1
      generator r.1
      next of r.1
        chain 1
        get v0: r:1
        set v0 = r.1:1, was r:1
      r.1 yielded
      get v0: r.1:1
      fork
      chain 2
      set v0 = r:2, was r.1:1
      next of r.1
        chain 2
        get v0: r:2
      r.1 yielded
      end of fork
      set v0 = r:3, was r.1:1
      next of r.1
        chain 1
        get v0: r:3
      r.1 returned
      get v0: r:3`,
  },
  {
    what: 'between two steps nothing is out',
    script: [
      generate([body([set(0)]), body([get(0)])]),
      next(),
      set(0),
      call([set(0)]),
      get(0),
      next(),
    ],
    trace: `
      generator r.1
      next of r.1
        set v0 = r.1:1, was unset
      r.1 yielded
      set v0 = r:1, was r.1:1
      call r.2
        set v0 = r.2:1, was r:1
      r.2 returned
      get v0: r.2:1
      next of r.1
        get v0: r.2:1
      r.1 returned`,
  },
  {
    what: 'a step that is out loses its merge like a call',
    script: [
      set(0),
      generate([body([set(0)]), body([get(0)])]),
      nextDuring(set(0)),
      get(0),
      next(),
    ],
    trace: `
      set v0 = r:1, was unset
      generator r.1
      next of r.1
      set v0 = r:2, was r:1
        set v0 = r.1:1, was r:1
      r.1 yielded
      get v0: r:2
      next of r.1
        get v0: r:2
      r.1 returned`,
  },
  {
    what: 'steps that wait for each other begin one after the other',
    script: [generate([body([set(0)]), body([get(0), set(0)]), body([get(0)])]), queue(3), get(0)],
    trace: `
      generator r.1
      next of r.1
      next of r.1
      next of r.1
        set v0 = r.1:1, was unset
      r.1 yielded
        get v0: r.1:1
        set v0 = r.1:2, was r.1:1
      r.1 yielded
        get v0: r.1:2
      r.1 returned
      get v0: r.1:2`,
  },
  {
    what: 'the token of a body is its own again in the next step of the same chain',
    script: [generate([body([set(0)], [0]), body([reset(0)])]), next(), reset(1), next(), reset(0)],
    trace: `
      generator r.1
      next of r.1
        set v0 = r.1:1, was unset
      r.1 yielded
      got r.1:1: v0, was unset
      reset v1 with r.1:1: TokenVariableError
      next of r.1
        reset v0 with r.1:1: ok
      r.1 returned
      reset v0 with r.1:1: TokenUsedError`,
  },
  {
    what: 'but not in a step of another chain',
    script: [
      generate([body([set(0)]), body([reset(0)]), body([reset(0)])]),
      next(),
      fork(next()),
      next(),
    ],
    trace: `
      generator r.1
      next of r.1
        set v0 = r.1:1, was unset
      r.1 yielded
      fork
      next of r.1
        reset v0 with r.1:1: TokenChainError
      r.1 yielded
      end of fork
      next of r.1
        reset v0 with r.1:1: ok
      r.1 returned`,
  },
  {
    what: 'nor when the consumer has spent it',
    script: [generate([body([set(0)], [0]), body([reset(0)])]), next(), reset(0), next()],
    trace: `
      generator r.1
      next of r.1
        set v0 = r.1:1, was unset
      r.1 yielded
      got r.1:1: v0, was unset
      reset v0 with r.1:1: ok
      next of r.1
        reset v0 with r.1:1: TokenUsedError
      r.1 returned`,
  },
  {
    what: 'a token that a step brought is lent with each step of the same chain',
    script: [set(0), generate([body([]), body([]), body([reset(0)])]), next(), next(0), next()],
    trace: `
      set v0 = r:1, was unset
      generator r.1
      next of r.1
      r.1 yielded
      next of r.1
        got r:1: v0, was unset
      r.1 yielded
      next of r.1
        reset v0 with r:1: ok
      r.1 returned`,
  },
  {
    what: 'the arguments of a generator go with its first step',
    script: [
      set(0),
      generate([body([reset(0)]), body([])], { pass: [0] }),
      nextDuring(reset(0)),
      reset(0),
    ],
    trace: `
      set v0 = r:1, was unset
      generator r.1
      next of r.1
      reset v0 with r:1: ChainContention
        got r:1: v0, was unset
        reset v0 with r:1: ok
      r.1 yielded
      reset v0 with r:1: TokenUsedError
      return of r.1
        ended early
      r.1 returned`,
  },
  {
    what: 'a generator that is ended early cleans up in the chain of whoever ends it',
    script: [
      set(0),
      generate([body([set(0)]), body([])], { cleanup: body([get(0), set(2)], [0]) }),
      next(),
      set(0),
      end,
      get(2),
      reset(2),
    ],
    trace: `
      set v0 = r:1, was unset
      generator r.1
      next of r.1
        set v0 = r.1:1, was r:1
      r.1 yielded
      set v0 = r:2, was r.1:1
      return of r.1
        ended early
        get v0: r:2
        set v2 = r.1:2, was unset
      r.1 returned
      got r.1:2: v2, was unset
      get v2: r.1:2
      reset v2 with r.1:2: ok`,
  },
  {
    what: 'one that has not begun does nothing, nor does one that is over',
    script: [
      generate([body([])], { cleanup: body([set(0)]) }),
      end,
      get(0),
      generate([body([])]),
      queue(2),
      throwInto(),
    ],
    trace: `
      generator r.1
      return of r.1
      r.1 is over
      get v0: unset
      generator r.2
      next of r.2
      next of r.2
      r.2 returned
      r.2 is over
      throw into r.2
      r.2 failed`,
  },
  {
    what: 'what is thrown into a generator brings tokens, and the changes of the body come back',
    script: [
      set(0),
      generate([body([]), body([reset(0)])], { catches: true }),
      next(),
      throwInto(0),
      reset(0),
      generate([body([set(2)]), body([])]),
      next(),
      throwInto(),
      get(2),
    ],
    trace: `
      set v0 = r:1, was unset
      generator r.1
      next of r.1
      r.1 yielded
      throw into r.1
        caught
        got r:1: v0, was unset
        reset v0 with r:1: ok
      r.1 returned
      reset v0 with r:1: TokenUsedError
      generator r.2
      next of r.2
        set v2 = r.2:1, was unset
      r.2 yielded
      throw into r.2
      r.2 failed
      get v2: r.2:1`,
  },
  {
    what: 'a token that a fork brought to a generator is lent by its own chain later',
    script: [
      set(0),
      generate([body([reset(0)]), body([reset(0)])], { pass: [0] }),
      fork(next()),
      next(),
      reset(0),
    ],
    trace: `
      set v0 = r:1, was unset
      generator r.1
      fork
      next of r.1
        got r:1: v0, was unset
        reset v0 with r:1: TokenChainError
      r.1 yielded
      end of fork
      next of r.1
        reset v0 with r:1: ok
      r.1 returned
      reset v0 with r:1: TokenUsedError`,
  },
  {
    what: 'in a step of a fork it is another chain’s, not contended',
    script: [
      set(0),
      generate([body([]), body([]), body([])], { pass: [0] }),
      next(),
      fork(nextDuring(reset(0))),
      nextDuring(reset(0)),
    ],
    trace: `
      set v0 = r:1, was unset
      generator r.1
      next of r.1
        got r:1: v0, was unset
      r.1 yielded
      fork
      next of r.1
      reset v0 with r:1: TokenChainError
      r.1 yielded
      end of fork
      next of r.1
      reset v0 with r:1: ChainContention
      r.1 returned`,
  },
  {
    what: 'a token that was made in a task, left out with a call and given back counts as used',
    script: [call([set(0), leave(to([], { pass: [0] }))], { give: [0] }), reset(0), get(0)],
    trace: `
      call r.1
        set v0 = r.1:1, was unset
        call r.1.1
      r.1 returned
      got r.1:1: v0, was unset
      reset v0 with r.1:1: TokenUsedError
      get v0: r.1:1`,
  },
  {
    what: 'a call that arms a chain and leaves it empty arms that of its caller, too',
    script: [call([set(0), reset(0), chain]), chain],
    trace: `
      call r.1
        set v0 = r.1:1, was unset
        reset v0 with r.1:1: ok
        chain 1
      r.1 returned
      chain 1`,
  },
  {
    what: 'each step that is a fork of an unarmed chain has an unarmed chain of its own',
    script: [
      during(
        to([]),
        generate([body([set(0), reset(0), chain]), body([chain]), body([])]),
        next(),
        next(),
      ),
    ],
    trace: `
      call r.1
      generator r.2
      next of r.2
        set v0 = r.2:1, was unset
        reset v0 with r.2:1: ok
        chain 1
      r.2 yielded
      next of r.2
        no armed chain
      r.2 yielded
      r.1 returned
      return of r.2
        ended early
      r.2 returned`,
  },
  {
    what: 'a token goes along only with what refers to it',
    script: [
      call([set(0), set(0, 0), set(0)], { give: [2, 1, 0] }),
      during(to([], { pass: [0] }), reset(0, 1), reset(0, 2)),
    ],
    trace: `
      call r.1
        set v0 = r.1:1, was unset
        set v0 = r.1:2, was r.1:1
        set v0 = r.1:3, was r.1:2
      r.1 returned
      got r.1:1: v0, was unset
      got r.1:2: v0, was r.1:1
      got r.1:3: v0, was r.1:2
      call r.2
      reset v0 with r.1:2: ok
      reset v0 with r.1:1: ChainContention
        got r.1:3: v0, was r.1:2
      r.2 returned`,
  },
  {
    what: 'a token that the body of a generator made, and that did not merge, is only the body’s',
    script: [
      set(0),
      generate([body([set(0)], [0]), body([]), body([reset(0)])]),
      nextDuring(set(2)),
      nextDuring(reset(0)),
      next(),
    ],
    trace: `
      set v0 = r:1, was unset
      generator r.1
      next of r.1
      set v2 = r:2, was unset
        set v0 = r.1:1, was r:1
      r.1 yielded
      got r.1:1: v0, was r:1
      next of r.1
      reset v0 with r.1:1: TokenChainError
      r.1 yielded
      next of r.1
        reset v0 with r.1:1: ok
      r.1 returned`,
  },
  {
    what: 'what a task does when it was answered reaches nobody',
    script: [set(0), call([chain, detach(chain, get(0), set(0), get(0))]), set(0), wake, get(0)],
    trace: `
      set v0 = r:1, was unset
      call r.1
        chain 1
        detach
      r.1 returned
      set v0 = r:2, was r:1
      wake
        chain 2
        get v0: r:1
        set v0 = r.1:1, was r:1
        get v0: r.1:1
      get v0: r:2`,
  },
  {
    what: 'a task that was answered has no right any more to use what it was given, or gave',
    script: [
      set(0),
      call([set(2), set(1), detach(reset(2, 1), reset(0, 2), reset(1))], { pass: [0], give: [1] }),
      wake,
      reset(2),
      reset(0, 1),
    ],
    trace: `
      set v0 = r:1, was unset
      call r.1
        got r:1: v0, was unset
        set v2 = r.1:1, was unset
        set v1 = r.1:2, was unset
        detach
      r.1 returned
      got r.1:1: v2, was unset
      wake
        reset v2 with r.1:1: TokenChainError
        reset v0 with r:1: TokenChainError
        reset v1 with r.1:2: ok
      reset v2 with r.1:1: ok
      reset v0 with r:1: ok`,
  },
  {
    what: 'nor to lend it to a generator that it has left',
    script: [
      set(0),
      call([generate([body([]), body([reset(0)])], { pass: [0] }), next(), detach(next())], {
        pass: [0],
      }),
      wake,
      reset(0),
    ],
    trace: `
      set v0 = r:1, was unset
      call r.1
        got r:1: v0, was unset
        generator r.1.1
        next of r.1.1
          got r:1: v0, was unset
        r.1.1 yielded
        detach
      r.1 returned
      wake
        next of r.1.1
          reset v0 with r:1: TokenChainError
        r.1.1 returned
      reset v0 with r:1: ok`,
  },
  {
    what: 'a token that a body has left out with a call when it yields counts as used',
    script: [
      set(0),
      generate([body([leave(to([], { pass: [0] }))]), body([reset(0)])], { pass: [0] }),
      next(),
      reset(0),
      next(),
    ],
    trace: `
      set v0 = r:1, was unset
      generator r.1
      next of r.1
        got r:1: v0, was unset
        call r.1.1
      r.1 yielded
      reset v0 with r:1: TokenUsedError
      next of r.1
        reset v0 with r:1: TokenUsedError
      r.1 returned`,
  },
  {
    what: 'a token that a task has left out with a call is contended for code that goes on',
    script: [call([set(0), leave(to([reset(0)], { pass: [0] })), detach(reset(0), get(0))]), wake],
    trace: `
      call r.1
        set v0 = r.1:1, was unset
        call r.1.1
        detach
      r.1 returned
      wake
        reset v0 with r.1:1: ChainContention
        get v0: r.1:1`,
  },
];

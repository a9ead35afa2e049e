import { deepStrictEqual } from 'node:assert/strict';
import { describe, test } from 'vitest';
import { privateNames } from '../../src/routine/private-names.ts';

/** The classes that a compiler's text makes. */
function classes(text: string, ...names: string[]): object[] {
  return new Function(`${text}; return [${names.join()}];`)() as object[];
}

const TSC = `
  var _P_instances, _P_x, _P_y, _P_h, _P_g_get, _Q_z, _Q_v_accessor_storage, _b, _S_n, _S_f;
  class P {
    constructor() {
        _P_instances.add(this);
        _P_x.set(this, 1);
        _P_y.set(this, void 0);
    }
    m() { __classPrivateFieldSet(this, _P_y, __classPrivateFieldGet(this, _P_instances, "m", _P_h).call(this) + __classPrivateFieldGet(this, _P_instances, "a", _P_g_get), "f"); }
  }
  _P_x = new WeakMap(), _P_y = new WeakMap(), _P_instances = new WeakSet();
  class Q extends P {
    constructor() {
        super(...arguments);
        _Q_v_accessor_storage.set(this, 1);
        _Q_z.set(this, 2);
    }
    get v() { return __classPrivateFieldGet(this, _Q_v_accessor_storage, "f"); }
  }
  class S {
    constructor() { var _c, _d; __classPrivateFieldSet(_c = _b, _b, (_d = __classPrivateFieldGet(_c, _b, "f", _S_n), _d++, _d), "f", _S_n); __classPrivateFieldGet(_b, _b, "m", _S_f).call(_b); }
  }`;

const ESBUILD = `
  var _x, _y, _n, _P_instances, h_fn, g_get, _v, _z, _n2, _S_static, f_fn;
  const P = class _P {
    constructor() {
      __privateAdd(this, _P_instances);
      __privateAdd(this, _x, 1);
      __privateAdd(this, _y);
    }
    m() {
      __privateSet(this, _y, __privateMethod(this, _P_instances, h_fn).call(this) + __privateGet(this, _P_instances, g_get));
    }
  };
  class Q extends P {
    constructor() {
      super(...arguments);
      __privateAdd(this, _v, 1);
      __privateAdd(this, _z, 2);
    }
  }
  const S = class _S {
    constructor() {
      __privateWrapper(_S, _n2)._++;
      __privateMethod(_S, _S_static, f_fn).call(_S);
    }
  };`;

const BABEL = `
  var _P_brand, _x, _z;
  class P { constructor() { _classPrivateMethodInitSpec(this, _P_brand); _classPrivateFieldInitSpec(this, _x, 1); } }
  class Q extends P { constructor(...args) { super(...args); _classPrivateFieldInitSpec(this, _z, 2); } }
  class S {}`;

const SWC = `
  var _x, _h, _z;
  class P { constructor() { _class_private_method_init(this, _h); _class_private_field_init(this, _x, { writable: true, value: 1 }); } }
  class Q extends P { constructor(...args) { super(...args); _class_private_field_init(this, _z, { writable: true, value: 2 }); } }
  class S {}`;

const NATIVE = `
  class P { #x = 1; #y; #h() {} get #g() { return 1; } }
  class Q extends P { #v_accessor_storage = 1; #z = 2; }
  class S { static #n = 0; static #f() {} }`;

describe('the private members of a class', () => {
  test.each([
    ['tsc', TSC, ['#h()', '#g', '#x', '#y'], ['accessor v', '#z']],
    ['esbuild', ESBUILD, ['#h()', '#g', '#x', '#y'], ['#v', '#z']],
    ['Babel', BABEL, ['methods', '#x'], ['#z']],
    ['SWC', SWC, ['#h', '#x'], ['#z']],
    ['no compiler', NATIVE, ['#x', '#y', '#h()', '#g'], ['accessor v', '#z']],
  ])('are found in what %s makes of it', (_compiler, text, own, below) => {
    const [P, Q, S] = classes(text, 'P', 'Q', 'S') as [object, object, object];
    deepStrictEqual(privateNames([P]), own);
    deepStrictEqual(privateNames([Q, P]), [...below, ...own]);
    deepStrictEqual(privateNames([S]), []);
  });

  test('are not what a program does itself', () => {
    const text = `
      const _all = new Set(), seen = new WeakMap(), map = new Map();
      class P {
        kept = seen.set(this, 1);
        constructor() { _all.add(this); map.set(this, '#x'); }
        use(it) { it.__privateAdd(this, map); __privateGet(it, _all); }
      }
      function F() { _F_x.set(this, 1); }`;
    for (const one of classes(text, 'P', 'F')) deepStrictEqual(privateNames([one]), []);
  });
});

import type { Suite } from '../../suite.ts';
import { bytes } from './bytes.ts';
import { calls } from './calls.ts';
import { flat } from './flat.ts';
import { large } from './large.ts';
import { memory } from './memory.ts';
import { open } from './open.ts';

export const core: Suite = {
  name: 'core',
  about: 'calls on one worker of this host',
  measurements: [calls, flat, memory, large, bytes, open],
};

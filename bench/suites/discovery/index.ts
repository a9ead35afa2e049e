import type { Suite } from '../../suite.ts';
import { known } from './known.ts';
import { local } from './local.ts';

export const discovery: Suite = {
  name: 'discovery',
  about: 'workers that a pool has found',
  measurements: [known, local],
};

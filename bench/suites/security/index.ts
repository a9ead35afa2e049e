import type { Suite } from '../../suite.ts';
import { calls } from './calls.ts';
import { first } from './first.ts';

export const security: Suite = {
  name: 'security',
  about: 'calls over TCP with certificates on both sides, against plain text',
  measurements: [calls, first],
};

import type { Suite } from '../../suite.ts';
import { calls } from './calls.ts';

export const nats: Suite = {
  name: 'nats',
  about: 'calls over a NATS server of this host; needs nats-server',
  measurements: [calls],
};

import type { Suite } from '../../suite.ts';
import { codecs } from './codecs.ts';

export const values: Suite = {
  name: 'values',
  about: 'the codec of values, without a call around it',
  measurements: [codecs],
};

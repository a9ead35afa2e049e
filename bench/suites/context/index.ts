import type { Suite } from '../../suite.ts';
import { variables } from './variables.ts';

export const context: Suite = {
  name: 'context',
  about: 'context variables and their tokens',
  measurements: [variables],
};

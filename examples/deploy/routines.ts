/** What the workers of these examples run. */
import { hostname } from 'node:os';
import { routine } from 'skein';

export const whereabouts = routine(() => `${hostname()}, process ${process.pid}`);

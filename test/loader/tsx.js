/**
 * Loads the TypeScript of this repository as tsx does, in a third of the time, for the processes that tests start:
 * `node --import …/test/loader/tsx.js`.
 */
import * as nodeModule from 'node:module';
import * as hooks from './hooks.js';

process.setSourceMapsEnabled(true);
const { registerHooks } = /** @type {{ registerHooks?(own: typeof hooks): void }} */ (nodeModule);
// Node 20 has hooks in a thread of their own only, which takes time to start and to ask.
if (registerHooks) registerHooks(hooks);
else nodeModule.register('./hooks.js', import.meta.url);

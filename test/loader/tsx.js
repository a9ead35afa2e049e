/**
 * Loads the TypeScript of this repository as tsx does, in half the time, for the processes that tests start:
 * `node --import …/test/loader/tsx.js`. Each of them loads all of the sources, which takes 0.3 s instead of 0.8 s.
 */
import { register } from 'node:module';

process.setSourceMapsEnabled(true);
register('./hooks.js', import.meta.url);

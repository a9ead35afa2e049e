/** A program with one call: opens a pool, calls, ends. Prints how long it took, as JSON. */
const started = performance.now();
const { WorkerPool } = await import('skein');
const { add } = await import('../routines.ts');
const imported = performance.now();
const pool = await WorkerPool.open({ size: 1 });
await add(1, 2);
const first = performance.now();
await pool.close();
const closed = performance.now();

/** Milliseconds of each step. */
export interface Opening {
  readonly import: number;
  /** From before `open` until after the first result. */
  readonly open: number;
  readonly close: number;
}

const opening: Opening = {
  import: imported - started,
  open: first - imported,
  close: closed - first,
};
process.stdout.write(JSON.stringify(opening));

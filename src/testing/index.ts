/**
 * `skein/testing`: the runtime on simulated time, with faults that a seed decides, and checkers of what
 * it promises. Arbitraries for fast-check are in `skein/testing/arbitraries`.
 */
export { type Checker, formatViolation, type Violation } from './checker.ts';
export { check, checkers } from './checkers.ts';
export { addCounts, type Counts, count } from './counts.ts';
export {
  type DiscoveryCheck,
  type DiscoveryHarness,
  discoveryContract,
  readOnlyDiscoveryContract,
} from './discovery-contract.ts';
export { drawFaults, type FaultDraw, faultKinds } from './draw.ts';
export { SimulationFailure } from './failure.ts';
export { MemoryDiscovery } from './memory-discovery.ts';
export type { SimulationOptions } from './options.ts';
export { sleep } from './process.ts';
export type {
  CallPlan,
  ClusterPlan,
  Fault,
  FaultKind,
  Scenario,
  TaskPlan,
  WorkloadPlan,
} from './scenario.ts';
export {
  type Program,
  type SimulatedCaller,
  Simulation,
  type SimulationResult,
  type Strike,
} from './simulation.ts';
export { formatEvent, formatTrace, type Trace, type TraceEvent } from './trace.ts';

/**
 * Skein: a distributed actor runtime. Any async function or generator becomes remotely callable with
 * `routine(...)`, and runs on a pool of peer worker processes.
 */
import { isWorkerProcess } from './worker/ipc.ts';

export type { BalancerContext, LoadBalancer, TaskView, WorkerView } from './balancing/balancer.ts';
export { leastLoaded, roundRobin, stickyByTag } from './balancing/policies.ts';
export type { ContextVarOptions } from './context/declaration.ts';
export { type ChainView, currentChain, fork } from './context/fork.ts';
export { Token } from './context/variable.ts';
export { PoolDiscovery, type PoolDiscoveryOptions } from './control/discovery.ts';
export { DnsDiscovery, type DnsDiscoveryOptions } from './discovery/adapters/dns.ts';
export { LanDiscovery, type LanDiscoveryOptions } from './discovery/adapters/lan.ts';
export { LocalDiscovery, type LocalDiscoveryOptions } from './discovery/adapters/local.ts';
export type {
  AnnouncedWorker,
  ChannelOptions,
  DiscoveryEvent,
  DiscoveryEventType,
  DiscoveryLike,
  DiscoveryPublisher,
  WorkerAbout,
  WorkerFilter,
  WorkerMetadata,
} from './discovery/discovery.ts';
export type { DiscoveryGiven } from './discovery/given.ts';
export { parseAnnounced } from './discovery/metadata.ts';
export { Roster, type RosterOptions } from './discovery/roster.ts';
export { StaticDiscovery } from './discovery/static.ts';
export {
  AuthenticationError,
  type AuthenticationReason,
  AuthorizationError,
  ChainContention,
  ChainSerializationError,
  ClassRegistrationError,
  ContextVarCollision,
  ContextVarUnset,
  CredentialsError,
  DiscoveryError,
  DispatchTimeout,
  InlineFunctionError,
  InlineNotAllowed,
  LimitExceeded,
  ListenError,
  LoadBalancerError,
  type LostPhase,
  MainModuleError,
  NoPoolError,
  NoWorkersAvailable,
  PoolClosed,
  PoolUnreachable,
  ProtocolError,
  RoutineIdentityError,
  RoutineNotFound,
  SerializationError,
  SkeinError,
  TaskAborted,
  TokenChainError,
  TokenUsedError,
  TokenVariableError,
  ValueTooLarge,
  WorkerLost,
  WorkerStartError,
  WorkerUnreachable,
} from './errors.ts';
export { consoleLogger, type Logger, type LogLevel } from './logger.ts';
export type {
  AuthorizeRoutine,
  BackpressureRoutine,
  ConnectOptions,
  PoolOptions,
} from './pool/options.ts';
export { type PoolWorker, WorkerPool } from './pool/pool.ts';
export { ContextVar } from './routine/context-var.ts';
export type { RoutineOptions } from './routine/definition.ts';
export { type CallOptions, withDispatch } from './routine/gate.ts';
export type { InlineOptions } from './routine/inline.ts';
export { type Remote, type Routine, routine } from './routine/routine.ts';
export {
  type ClassOf,
  type ClassOptions,
  registerClass,
  serializable,
} from './routine/serializable.ts';
export { type CurrentTask, currentTask, type DispatchOptions } from './routine/task.ts';
export type { AuthkeyGiven } from './security/authkey.ts';
export {
  type CertificateFiles,
  type CredentialsGiven,
  type CredentialsProvider,
  WorkerCredentials,
} from './security/credentials.ts';
export type { PeerLimits } from './security/limits.ts';
export type { CertificateBytes } from './security/material.ts';
export type { PeerIdentity } from './security/names.ts';
export type { TransportGiven } from './transport/given.ts';
export {
  type WorkerStatusOptions,
  type WorkerStatusReport,
  workerStatus,
} from './transport/status.ts';
export { type StopWorkerOptions, stopWorker } from './transport/stop.ts';
export type {
  BaseTransport,
  BeatRecipe,
  Channel,
  ChannelHandlers,
  CloseReason,
  Dialer,
  Listener,
  ListenerService,
  Transport,
  TransportRecipe,
  WorkerMethod,
  WorkerStatus,
} from './transport/transport.ts';
export type { Authorize, AuthorizedTask, AuthorizeHook } from './worker/authorize.ts';
export type { Backpressure, OfferedTask } from './worker/backpressure.ts';
export { Worker } from './worker/host.ts';
export type { WorkerOptions } from './worker/options.ts';

/**
 * Whether this process is a worker that a pool spawned. A module that both defines routines and opens
 * a pool guards the latter with it, since workers import the module too.
 *
 * @example
 * ```ts
 * if (!isWorker) {
 *   await using pool = await WorkerPool.open();
 *   console.log(await add(1, 2));
 * }
 * ```
 */
export const isWorker: boolean = isWorkerProcess();

/** The compiled chart alone, without the room that it is for: it does what the model says. */
import { type AnyActorRef, createActor, fromCallback } from 'xstate';
import { createLightActor } from '../../../src/actors/actor.ts';
import { effectsOf, toLogic } from '../../../src/actors/statechart.ts';
import type { Inspected, Inspector } from './inspector.ts';
import type { AnyChart, Step } from './paths.ts';
import type { Rig } from './walk.ts';
import { World } from './world.ts';

export class LogicRig implements Rig {
  readonly world = new World();
  readonly #inspector: Inspector;
  readonly #chart: AnyChart;
  readonly #actor: AnyActorRef;

  constructor(inspector: Inspector, chart: AnyChart, input: unknown) {
    this.#inspector = inspector;
    this.#chart = chart;
    const root = createActor(
      fromCallback(() => {}),
      { inspect: inspector.inspect },
    ).start();
    const effects = Object.fromEntries(effectsOf(chart).map((name) => [name, () => {}]));
    this.#actor = createLightActor(toLogic(chart, effects), root, input);
  }

  get subject(): Inspected {
    return this.#inspector.actorsOf(this.#chart.id)[0] as Inspected;
  }

  start(): void {
    this.#actor.start();
  }

  act({ event }: Step): void {
    this.#actor.send(event);
  }

  check(): void {}

  async finish(): Promise<void> {}
}

// SPDX-License-Identifier: Apache-2.0
// The forecast of a simulated migration, folded together only when a policy looks at it: most of the peers never do, and
// thousands of migrations a second are asked for.

import { foldObservation, forecastOf, type ForecastState } from '../forecast/index.ts';
import { once } from '../common/index.ts';
import type { Forecast, Observation } from '../model/index.ts';

export class ForecastFold {
  #state: ForecastState;
  /** Seen, and not folded in yet, the oldest first; how many there were before them. */
  #unfolded: Observation[] = [];
  #folded = 0;

  constructor(state: ForecastState) {
    this.#state = state;
  }

  /** Takes an observation in; the answer is worked out by whoever reads one of its fields. */
  see(observation: Observation): Forecast {
    this.#unfolded.push(observation);
    const seen = this.#folded + this.#unfolded.length;
    const forecast = once(() => {
      this.#foldUntil(seen);
      return forecastOf(this.#state, observation);
    });
    return {
      atMs: observation.atMs,
      get ready() {
        return forecast().ready;
      },
      get bandwidthBytesPerSec() {
        return forecast().bandwidthBytesPerSec;
      },
      get curve() {
        return forecast().curve;
      },
      get errorRatio() {
        return forecast().errorRatio;
      },
      get longestWindowMs() {
        return forecast().longestWindowMs;
      },
      get plateau() {
        return forecast().plateau;
      },
      get pace() {
        return forecast().pace;
      },
      get workingSetConverged() {
        return forecast().workingSetConverged;
      },
      get precopy() {
        return forecast().precopy;
      },
      get postcopy() {
        return forecast().postcopy;
      },
      get downtimeOverheadMs() {
        return forecast().downtimeOverheadMs;
      },
    };
  }

  /** A policy may read a forecast later than it was given: what was seen since is not in it. */
  #foldUntil(seen: number): void {
    const count = Math.max(0, seen - this.#folded);
    this.#state = this.#unfolded.slice(0, count).reduce(foldObservation, this.#state);
    this.#unfolded = this.#unfolded.slice(count);
    this.#folded += count;
  }
}

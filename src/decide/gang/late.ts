// SPDX-License-Identifier: Apache-2.0
// Whether a migration under way is going to miss its deadline, by its newest forecast.

import type { Forecast, Objective } from '../../model/index.ts';

/**
 * `leftMs`: from the beginning of this migration to the deadline. The earliest end counts among the ways that the objective allows:
 * pre-copy within the maximum downtime, post-copy where it may be used. While nothing is known it is not late.
 */
export function isLate(forecast: Forecast, objective: Objective, leftMs: number): boolean {
  if (!forecast.ready) return false;
  const mostDowntimeMs = objective.allowDowntimeMs ?? objective.maxDowntimeMs;
  const ways = [
    ...forecast.precopy.filter(({ downtimeMs }) => downtimeMs.expected <= mostDowntimeMs),
    ...(objective.postcopy === 'forbidden' ? [] : forecast.postcopy),
  ];
  return ways.every(({ tmtMs }) => tmtMs.high > leftMs);
}

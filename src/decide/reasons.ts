// SPDX-License-Identifier: Apache-2.0
// The words of the adaptive policy's decisions. Each says what was seen, what was compared and what follows.

import { formatBytes, formatMs, formatRate } from '../common/index.ts';
import { bandwidthNeededBytesPerMs, type Released } from '../forecast/index.ts';
import type { Forecast, Observation, Prediction, Reason } from '../model/index.ts';

/** The figures that every decision records. */
function figures(forecast: Forecast, observation: Observation): Record<string, number> {
  const numbers: Record<string, number> = { round: observation.round };
  if (observation.remainingBytes !== null) numbers['remainingBytes'] = observation.remainingBytes;
  if (forecast.bandwidthBytesPerSec !== null) numbers['bandwidthBytesPerSec'] = forecast.bandwidthBytesPerSec;
  if (forecast.plateau !== null) numbers['plateauBytes'] = forecast.plateau.dirtyBytes;
  numbers['errorRatio'] = forecast.errorRatio;
  return numbers;
}

function withChoice(numbers: Record<string, number>, choice: Prediction): Record<string, number> {
  return {
    ...numbers,
    rounds: choice.rounds,
    forecastTmtMs: choice.tmtMs.expected,
    forecastDowntimeMs: choice.downtimeMs.expected,
    forecastDowntimeHighMs: choice.downtimeMs.high,
  };
}

export function holdReason(): Reason {
  return {
    text: 'holding the switchover (downtime-limit 1 ms) until the forecast has picked the moment',
    numbers: { downtimeLimitMs: 1 },
  };
}

/** The samples so far neither promise a switchover within the limit nor rule it out. */
export function openReason(forecast: Forecast, observation: Observation, ceilingMs: number): Reason {
  return {
    text: `whether pre-copy converges is open: QEMU may complete within ${formatMs(ceilingMs)}`,
    numbers: { ...figures(forecast, observation), ceilingMs },
  };
}

export function scheduleReason(
  forecast: Forecast,
  observation: Observation,
  share: number,
  maxDowntimeMs: number,
): Reason {
  const lowestMs = Math.min(...forecast.precopy.map(({ downtimeMs }) => downtimeMs.low));
  return {
    text:
      `pre-copy is hopeless: not below ${formatMs(lowestMs)} of downtime (limit ${formatMs(maxDowntimeMs)}); ` +
      `post-copy when ${Math.round(share * 100)} % of the memory has crossed`,
    numbers: { ...figures(forecast, observation), share, lowestMs, maxDowntimeMs },
  };
}

export function moreRoundsReason(forecast: Forecast, observation: Observation, choice: Prediction): Reason {
  return {
    text:
      `${choice.rounds} more round${choice.rounds === 1 ? '' : 's'} of pre-copy pay: ` +
      `${formatBytes(observation.remainingBytes ?? 0)} dirty now, ` +
      `${formatBytes(choice.dirtyAtSwitchBytes)} then; downtime ${formatMs(choice.downtimeMs.expected)}, ` +
      `total ${formatMs(choice.tmtMs.expected)}`,
    numbers: withChoice(figures(forecast, observation), choice),
  };
}

export function releaseReason(
  forecast: Forecast,
  observation: Observation,
  choice: Prediction,
  ceilingMs: number,
): Reason {
  return {
    text:
      `releasing the switchover: ${formatBytes(choice.dirtyAtSwitchBytes)} to send while stopped, expected downtime ` +
      `${formatMs(choice.downtimeMs.expected)} (at most ${formatMs(choice.downtimeMs.high)}) within ${formatMs(ceilingMs)}`,
    numbers: { ...withChoice(figures(forecast, observation), choice), ceilingMs },
  };
}

export function postcopyReason(
  forecast: Forecast,
  observation: Observation,
  choice: Prediction,
  bestPrecopyMs: number,
  maxDowntimeMs: number,
): Reason {
  const why =
    bestPrecopyMs > maxDowntimeMs
      ? `pre-copy would not come below ${formatMs(bestPrecopyMs)} of downtime (limit ${formatMs(maxDowntimeMs)})`
      : 'pre-copy would take longer than it is worth';
  return {
    text:
      `post-copy: ${why}; ${formatBytes(choice.dirtyAtSwitchBytes)} left to fetch, total ` +
      `${formatMs(choice.tmtMs.expected)}. From here on a host that dies loses the guest`,
    numbers: { ...withChoice(figures(forecast, observation), choice), bestPrecopyMs, maxDowntimeMs },
  };
}

/** Whole rounds leave too much, parts of rounds do not. */
export function withinReason(
  forecast: Forecast,
  observation: Observation,
  lowest: Prediction,
  { afterMs, downtimeMs }: Released,
  ceilingMs: number,
): Reason {
  return {
    text:
      `releasing the switchover: whole rounds leave ${formatMs(lowest.downtimeMs.expected)} of downtime, but QEMU is forecast ` +
      `to come below ${formatMs(ceilingMs)} within one, in ${formatMs(afterMs)}`,
    numbers: { ...figures(forecast, observation), afterMs, forecastDowntimeMs: downtimeMs, ceilingMs },
  };
}

/** What would be needed for a pre-copy that cannot meet its limit. */
export function stuckReason(
  forecast: Forecast,
  observation: Observation,
  lowest: Prediction,
  maxDowntimeMs: number,
): Reason {
  const transferMs = maxDowntimeMs - forecast.downtimeOverheadMs;
  const neededBytesPerSec =
    forecast.curve === null ? Infinity : bandwidthNeededBytesPerMs(forecast.curve, transferMs) * 1000;
  const bandwidth = forecast.bandwidthBytesPerSec ?? 0;
  return {
    text:
      `pre-copy does not converge: the guest keeps ${formatBytes(lowest.dirtyAtSwitchBytes)} dirty at ` +
      `${formatRate(bandwidth)}; it needs a downtime of ${formatMs(Math.ceil(lowest.downtimeMs.high))} ` +
      `(--allow-downtime), or ${Number.isFinite(neededBytesPerSec) ? formatRate(neededBytesPerSec) : 'more'} of ` +
      `bandwidth for ${formatMs(maxDowntimeMs)}, or post-copy`,
    numbers: {
      ...withChoice(figures(forecast, observation), lowest),
      maxDowntimeMs,
      neededDowntimeMs: Math.ceil(lowest.downtimeMs.high),
      ...(Number.isFinite(neededBytesPerSec) ? { neededBandwidthBytesPerSec: neededBytesPerSec } : {}),
    },
  };
}

export function deadlineReason(deadlineMs: number, nowMs: number): Reason {
  return {
    text: `the deadline of ${formatMs(deadlineMs)} has passed and post-copy may not be used`,
    numbers: { deadlineMs, nowMs },
  };
}

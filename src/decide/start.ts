// SPDX-License-Identifier: Apache-2.0
// When the adaptive policy begins: at once, or, where the guest was seen to repeat itself and post-copy is not to be had, so
// that the first pass ends as its quiet time begins.

import { formatBytes, formatMs } from '../common/index.ts';
import { chooseStart, dirtyingOf, readProfile } from '../forecast/index.ts';
import type { Action, PolicyContext } from '../model/index.ts';

/** A link that has carried nothing yet is taken for this; the first measurement replaces it. */
const ASSUMED_BYTES_PER_SEC = 117_000_000;

/** What the link is taken to carry before it has carried anything. */
export function assumedBytesPerSec({ parameters, linkBytesPerSec }: PolicyContext): number {
  const limit = parameters.maxBandwidthBytesPerSec;
  const link = linkBytesPerSec ?? ASSUMED_BYTES_PER_SEC;
  return limit === null || limit === 0 ? link : Math.min(link, limit);
}

/** The waiting that pays, as an action; none where it does not. */
export function waitBefore(context: PolicyContext): Action[] {
  const { profile, objective, postcopyReady } = context;
  if (profile === null || (postcopyReady && objective.postcopy !== 'forbidden')) return [];
  const known = readProfile(profile);
  if (known?.pace?.periodic !== true) return [];
  const periodMs = known.pace.values.length * known.pace.stepMs;
  const { now, best } = chooseStart({
    dirtying: dirtyingOf(known.curve, known.pace),
    periodMs,
    memoryBytes: context.memoryBytes,
    bandwidthBytesPerMs: assumedBytesPerSec(context) / 1000,
    maxDowntimeMs: objective.maxDowntimeMs,
    downtimeOverheadMs: context.switchoverMs,
  });
  if (best.waitMs === 0) return [];
  if (objective.deadlineMs !== null && best.tmtMs > objective.deadlineMs) return [];
  const text =
    `beginning in ${formatMs(best.waitMs)}: the guest repeats itself every ${formatMs(periodMs)}, and begun then the ` +
    `migration takes ${formatMs(best.tmtMs)} and ${formatBytes(best.bytes)} instead of ` +
    `${now.completes ? formatMs(now.tmtMs) : `more than ${formatMs(now.tmtMs)}`} and ${formatBytes(now.bytes)}`;
  const numbers = {
    periodMs,
    waitMs: best.waitMs,
    tmtMs: best.tmtMs,
    bytes: best.bytes,
    nowTmtMs: now.tmtMs,
    nowBytes: now.bytes,
  };
  return [{ kind: 'wait', waitMs: best.waitMs, reason: { text, numbers } }];
}

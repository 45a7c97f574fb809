// SPDX-License-Identifier: Apache-2.0
// What a trace says of the run it records.

import type { TraceHeader } from '../record/index.ts';
import type { ControlOptions } from './types.ts';

export const TOOL = 'slackwater';

export function traceHeader(options: ControlOptions, qemuVersion: string, startedAtMs: number): TraceHeader {
  const { maxDowntimeMs, allowDowntimeMs, deadlineMs, postcopy } = options.objective;
  return {
    tool: TOOL,
    policy: options.policy.name,
    mode: options.mode,
    qemuVersion,
    objective: { maxDowntimeMs, allowDowntimeMs, deadlineMs, postcopy },
    startedAtMs,
  };
}

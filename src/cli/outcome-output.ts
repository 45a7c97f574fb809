// SPDX-License-Identifier: Apache-2.0
// An outcome as lines for people and as the versioned JSON document.

import { formatBytes, formatMs } from '../common/index.ts';
import type { Outcome } from '../model/index.ts';
import { exitCodeOf } from './exit.ts';

/** The document of `--json`; fields are only ever added within a schema version. */
export function outcomeDocument(outcome: Outcome, policy: string): Record<string, unknown> {
  return {
    schema: 'slackwater/migrate@1',
    outcome: outcome.kind,
    reason: outcome.reason,
    exit_code: exitCodeOf(outcome),
    interrupted: outcome.interrupted,
    given_up: outcome.givenUp,
    policy,
    started_at_ms: outcome.startedAtMs,
    waited_ms: outcome.waitedMs,
    tmt_ms: outcome.tmtMs,
    tmt_qemu_ms: outcome.qemuTotalMs,
    downtime_qemu_ms: outcome.qemuDowntimeMs,
    downtime_stop_to_resume_ms: outcome.stopToResume?.ms ?? null,
    downtime_stop_to_resume_uncertainty_ms: outcome.stopToResume?.uncertaintyMs ?? null,
    downtime_forecast_ms: outcome.forecastDowntimeMs,
    transferred_bytes: outcome.transferredBytes,
    rounds: outcome.rounds,
    used_postcopy: outcome.usedPostcopy,
    not_restored: outcome.notRestored,
    command: outcome.command,
  };
}

export function outcomeLines(outcome: Outcome): string[] {
  const lines = [`${outcome.kind}: ${outcome.reason}`];
  if (outcome.kind === 'completed') {
    const figures: string[] = [];
    if (outcome.tmtMs !== null) figures.push(`total ${formatMs(outcome.tmtMs)}`);
    if (outcome.stopToResume !== null) {
      const { ms, uncertaintyMs } = outcome.stopToResume;
      const bound = uncertaintyMs > 0 ? ` +/- ${formatMs(uncertaintyMs)}` : '';
      figures.push(`STOP to RESUME ${formatMs(ms)}${bound}`);
    }
    if (outcome.qemuDowntimeMs !== null) figures.push(`QEMU's downtime ${formatMs(outcome.qemuDowntimeMs)}`);
    if (outcome.forecastDowntimeMs !== null) figures.push(`forecast ${formatMs(outcome.forecastDowntimeMs)}`);
    if (outcome.transferredBytes !== null) figures.push(`${formatBytes(outcome.transferredBytes)} sent`);
    if (outcome.rounds !== null) figures.push(`${outcome.rounds} rounds`);
    if (outcome.usedPostcopy) figures.push('post-copy');
    lines.push(`  ${figures.join(', ')}`);
  }
  if (outcome.command !== null) lines.push(`  run: ${outcome.command}`);
  return lines;
}

/** Prints an outcome: the document alone on stdout, or lines. */
export function printOutcome(outcome: Outcome, policy: string, json: boolean): void {
  const text = json ? JSON.stringify(outcomeDocument(outcome, policy)) : outcomeLines(outcome).join('\n');
  process.stdout.write(`${text}\n`);
}

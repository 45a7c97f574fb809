// SPDX-License-Identifier: Apache-2.0
// The report as a versioned JSON document. Fields are only ever added within a schema version.

import type { Against } from './against.ts';
import type { Cell } from './cells.ts';
import type { ControlNoise } from './noise.ts';
import type { Report } from './report.ts';
import type { PairedDifference } from './significance.ts';
import type { Interval, Proportion, Summary } from './statistics.ts';
import type { Verdict } from './verdict.ts';

export const REPORT_SCHEMA = 'slackwater/report@1';

type Document = Record<string, unknown>;

function pair({ low, high }: Interval): [number, number] {
  return [low, high];
}

function summary(of: Summary | null): Document | null {
  if (of === null) return null;
  const { n, median, p90, min, max, median95, values } = of;
  return { n, median, p90, min, max, median_interval_95: pair(median95), values };
}

function completion(of: Proportion | null): Document | null {
  return of === null
    ? null
    : { completed: of.successes, runs: of.n, rate: of.rate, rate_interval_95: pair(of.rate95) };
}

function cell(of: Cell): Document {
  return {
    policy: of.policy,
    runs: of.runs.length,
    completion: completion(of.completion),
    capped_runs: of.cappedRuns,
    hopeless: of.hopeless,
    postcopy_runs: of.postcopyRuns,
    attempts: of.attempts,
    disturbed_runs: of.disturbedRuns,
    tmt_ms: summary(of.tmtMs),
    floor_ratio: summary(of.floorRatio),
    bytes_ratio: summary(of.bytesRatio),
    regret: of.regret,
    downtime_qemu_ms: summary(of.downtimeQemuMs),
    downtime_stop_to_resume_ms: summary(of.downtimeStopToResumeMs),
    downtime_guest_ms: summary(of.downtimeGuestMs),
    transferred_bytes: summary(of.transferredBytes),
    slowdown_ratio: summary(of.slowdownRatio),
    lost_work_ms: summary(of.lostWorkMs),
    app_p99_ratio: summary(of.appP99Ratio),
    app_throughput_ratio: summary(of.appThroughputRatio),
    lost_pages: of.lostPages,
    lost_blocks: of.lostBlocks,
    incoherent_runs: of.incoherentRuns,
  };
}

function control(of: ControlNoise): Document {
  return {
    guest: of.guest,
    link: of.link,
    policy: of.policy,
    runs: of.runs,
    tmt_ms: summary(of.tmtMs),
    tmt_noise_ratio: of.noiseRatio.tmtMs,
    downtime_guest_ms: summary(of.downtimeGuestMs),
    downtime_guest_noise_ratio: of.noiseRatio.downtimeGuestMs,
  };
}

const SNAKE = /[A-Z]/g;

function verdict(of: Verdict): Document {
  const numbers = Object.entries(of.numbers).map(([name, value]) => [
    name.replace(SNAKE, (letter) => `_${letter.toLowerCase()}`),
    value,
  ]);
  return { ...of, numbers: Object.fromEntries(numbers) as Document };
}

function difference(of: PairedDifference | null): Document | null {
  return of === null
    ? null
    : { pairs: of.pairs, median: of.median, median_interval_95: pair(of.median95), p: of.p };
}

function against(of: Against): Document {
  return {
    guest: of.guest,
    link: of.link,
    policy: of.policy,
    rival: of.rival,
    tmt_ratio:
      of.tmtRatio === null
        ? null
        : { ratio: of.tmtRatio.ratio, ratio_interval_95: pair(of.tmtRatio.ratio95) },
    tmt_difference_ms: difference(of.tmtDifferenceMs),
    downtime_guest_difference_ms: difference(of.downtimeGuestDifferenceMs),
  };
}

export function reportDocument(report: Report): Document {
  const { set } = report;
  return {
    schema: REPORT_SCHEMA,
    name: set.name,
    title: set.title,
    about: set.about,
    machine: set.machine,
    policies: set.policies,
    commands: set.commands ?? null,
    attempts: set.records.length,
    controls: report.controls.map(control),
    verdicts: report.verdicts.map(verdict),
    settings: report.settings.map(({ guest, link, floorMs, cells, searched, oracleSetting }) => ({
      guest,
      link,
      floor_ms: floorMs,
      oracle_setting: oracleSetting,
      searched: searched.map((of) => ({
        setting: of.setting,
        runs: of.runs,
        sure: of.sure,
        tmt_ms: of.tmtMs,
        downtime_guest_ms: of.downtimeGuestMs,
      })),
      cells: cells.map(cell),
    })),
    adaptive_against: report.against.map(against),
  };
}

/** Ends with a newline. */
export function renderJson(report: Report): string {
  return `${JSON.stringify(reportDocument(report), null, 2)}\n`;
}

// SPDX-License-Identifier: Apache-2.0
// slackwater estimate: what every way of migrating a guest would cost, before anything is done to it.

import type { Command } from 'commander';
import {
  formatBytes,
  formatMs,
  formatRate,
  parseDurationMs,
  parseRateBytesPerSec,
  RefusedError,
  systemClock,
  UsageError,
} from '../common/index.ts';
import { watchGuest } from '../control/index.ts';
import { tcpGoodputBytesPerSec } from '../experiment/index.ts';
import { type ProfileModel, readProfile } from '../forecast/index.ts';
import type { Estimate, GuestProfile } from '../model/index.ts';
import { estimateWays, recommendation, type WayEstimate } from '../simulate/index.ts';
import { alignColumns } from './columns.ts';
import { drawCurve } from './curve-drawing.ts';
import { interruptSignal } from './interrupt.ts';
import { collect } from './list-option.ts';
import { parseWeights } from './number-lists.ts';

interface EstimateFlags {
  readonly qmp: string;
  readonly link?: readonly string[];
  readonly sample: string;
  readonly maxDowntime?: readonly string[];
  readonly postcopy: boolean;
  readonly weights?: string;
  readonly course: string;
  readonly insecure?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const DEFAULT_LINKS = ['1gbit', '10gbit'];
const DEFAULT_DOWNTIMES = ['300ms'];
const MOST_ROWS = 64;
const COURSES = ['seen', 'ets', 'arima', 'persistence'];

function bandText(estimate: Estimate | null, format: (value: number) => string): string {
  if (estimate === null) return '-';
  return `${format(estimate.expected)} (${format(estimate.low)} to ${format(estimate.high)})`;
}

function tableLines(estimates: readonly WayEstimate[]): string[] {
  const header = [
    'way',
    'link carries',
    'max. downtime',
    'total time',
    'downtime',
    'bytes',
    'work',
    'outcome',
  ];
  const rows = estimates.map((each) => [
    each.way,
    formatRate(each.linkBytesPerSec),
    formatMs(each.maxDowntimeMs),
    bandText(each.tmtMs, formatMs),
    bandText(each.downtimeMs, formatMs),
    bandText(each.bytes, formatBytes),
    each.workRatio === null ? '-' : `${Math.round(each.workRatio * 100)} %`,
    !each.converges
      ? 'does not converge'
      : `${each.fits ? 'fits' : 'over the limit'}${each.usedPostcopy ? ', post-copy' : ''}`,
  ]);
  return alignColumns([header, ...rows]);
}

function courseText({ pace, period }: ProfileModel): string {
  if (pace === null) return 'always about as busy';
  const [low, high] = [Math.min(...pace.values), Math.max(...pace.values)];
  const range = `between ${Math.round(low * 100)} and ${Math.round(high * 100)} % as busy as in its busy time`;
  if (period === null) return `${range}, without a period that could be told from chance`;
  return `${range}, again and again every ${formatMs(pace.values.length * pace.stepMs)}`;
}

function document(
  profile: GuestProfile,
  known: ProfileModel,
  estimates: readonly WayEstimate[],
): Record<string, unknown> {
  return {
    schema: 'slackwater/estimate@1',
    memory_bytes: profile.memoryBytes,
    curve: {
      hot_bytes: known.curve.hotBytes,
      tau_ms: known.curve.tauMs,
      cold_bytes_per_ms: known.curve.coldBytesPerMs,
      residual_ratio: known.residualRatio,
    },
    period_ms:
      known.period === null || known.pace === null ? null : known.pace.values.length * known.pace.stepMs,
    samples: profile.samples.map(({ atMs, windowMs, dirtyBytes, activity }) => ({
      at_ms: atMs,
      window_ms: windowMs,
      dirty_bytes: dirtyBytes,
      activity,
    })),
    ways: estimates.map((each) => ({
      way: each.way,
      link_bytes_per_sec: each.linkBytesPerSec,
      max_downtime_ms: each.maxDowntimeMs,
      converges: each.converges,
      fits: each.fits,
      used_postcopy: each.usedPostcopy,
      tmt_ms: each.tmtMs,
      downtime_ms: each.downtimeMs,
      bytes: each.bytes,
      work_ratio: each.workRatio,
      cost_ms: each.costMs,
    })),
    recommendation: recommendation(estimates),
  };
}

async function estimateCommand(flags: EstimateFlags): Promise<void> {
  const links = (flags.link ?? DEFAULT_LINKS).map((text) =>
    tcpGoodputBytesPerSec(parseRateBytesPerSec(text)),
  );
  const maxDowntimesMs = (flags.maxDowntime ?? DEFAULT_DOWNTIMES).map(parseDurationMs);
  const sampleMs = parseDurationMs(flags.sample);
  if (sampleMs < 1000 || sampleMs > 3_600_000) {
    throw new UsageError(`--sample: expected 1s to 1h, got ${flags.sample}`);
  }
  if (links.some((link) => link <= 0) || maxDowntimesMs.some((ms) => ms < 1)) {
    throw new UsageError('--link and --max-downtime: expected a rate and a time above 0');
  }
  if (links.length * maxDowntimesMs.length > MOST_ROWS) {
    throw new UsageError(`expected at most ${MOST_ROWS} pairs of --link and --max-downtime`);
  }
  if (!COURSES.includes(flags.course)) {
    throw new UsageError(`--course: expected one of ${COURSES.join(', ')}, got "${flags.course}"`);
  }
  const course = flags.course === 'seen' ? {} : { seriesModel: flags.course };
  const weights = flags.weights === undefined ? {} : { weights: parseWeights(flags.weights) };
  const interrupt = interruptSignal();
  const say = (line: string): void => {
    if (flags.quiet !== true) process.stderr.write(`${line}\n`);
  };
  try {
    say(`watching the guest for ${formatMs(sampleMs)}; nothing is changed`);
    const { profile, shortensQueue } = await watchGuest(flags.qmp, sampleMs, {
      insecure: flags.insecure === true,
      clock: systemClock,
      signal: interrupt.signal,
    });
    const known = readProfile(profile);
    const inputs = { profile, linksBytesPerSec: links, maxDowntimesMs, shortensQueue };
    const estimates = estimateWays({ ...inputs, mayPostcopy: flags.postcopy, ...weights, ...course });
    if (known === null || estimates === null) {
      throw new RefusedError('the guest dirtied nothing that could be measured', {
        remedy: 'watch it longer (--sample), or while it is at work: an idle guest migrates in one pass',
      });
    }
    if (flags.json === true) {
      process.stdout.write(`${JSON.stringify(document(profile, known, estimates))}\n`);
      return;
    }
    const longestMs = Math.max(...profile.samples.map(({ windowMs }) => windowMs));
    const drawing = process.stdout.isTTY ? [...drawCurve(known.curve, longestMs, profile.samples), ''] : [];
    const lines = [
      ...drawing,
      `${formatBytes(profile.memoryBytes)} of memory, of which ${formatBytes(known.curve.hotBytes)} are written again and again ` +
        `(${formatMs(known.curve.tauMs)} for two thirds of them); ${courseText(known)}`,
      '',
      ...tableLines(estimates),
      '',
      recommendation(estimates),
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  } finally {
    interrupt.dispose();
  }
}

export function registerEstimate(program: Command): void {
  program
    .command('estimate')
    .description('what every way of migrating a guest would cost, told without touching it')
    .requiredOption('--qmp <address>', "the guest's QMP monitor: /PATH, tcp:HOST:PORT or ssh:HOST:/PATH")
    .option(
      '--link <rate>',
      `a link's rate, such as 1gbit; again, or after a comma, for more (default: ${DEFAULT_LINKS.join(',')})`,
      collect,
    )
    .option(
      '--max-downtime <time>',
      `a limit of STOP to RESUME; more likewise (default: ${DEFAULT_DOWNTIMES.join(',')})`,
      collect,
    )
    .option('--sample <time>', 'how long the guest is watched; 20s finds periods up to 10 s', '10s')
    .option('--weights <list>', 'what to recommend by, as for migrate: tmt=1,downtime=1,slowdown=1,bytes=0')
    .option(
      '--course <model>',
      'how a guest that does not repeat itself goes on: as seen, or by ets, arima, persistence',
      'seen',
    )
    .option('--no-postcopy', 'post-copy is not to be had')
    .option('--insecure', 'allow a QMP monitor on TCP off loopback (better: ssh:HOST:/path)')
    .option('--json', 'one JSON document on stdout')
    .option('--quiet', 'no progress')
    .action(estimateCommand);
}

// SPDX-License-Identifier: Apache-2.0
// An experiment from its file to its report, through the built command: all runs kept, every guest whole, every figure drawn.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { latestAttempts, type RunRecord, type RunSeries, runKey } from '../../src/experiment/index.ts';
import { packageRoot, readTrace } from '../../src/index.ts';
import { countingRuns, isCompleted } from '../../src/report/result-set.ts';
import { chromiumPath, lookAt } from './support/chromium.ts';
import {
  leftOnMachine,
  recordsIn,
  startTestbed,
  runTestbed,
  temporaryFolder,
} from './support/experiments.ts';

const FILE = join(packageRoot(), 'testbed', 'experiments', 'quick.yaml');
const GUESTS = ['calm', 'hot', 'bursts'];
const POLICIES = ['qemu-default', 'hybrid-1', 'adaptive'];

/** Stock pre-copy has no end of its own where the guest writes faster than the link carries, in bursts at least at times. */
function surelyCompletes({ guest, policy }: RunRecord): boolean {
  return guest === 'calm' || policy !== 'qemu-default';
}

interface ReportDocument {
  readonly schema: string;
  readonly attempts: number;
  readonly settings: readonly {
    readonly guest: string;
    readonly cells: readonly {
      readonly policy: string;
      readonly runs: number;
      readonly completion: { readonly completed: number } | null;
      readonly tmt_ms: unknown;
      readonly downtime_qemu_ms: unknown;
      readonly downtime_stop_to_resume_ms: unknown;
      readonly downtime_guest_ms: unknown;
      readonly lost_pages: number;
    }[];
  }[];
}

t.test('the quick experiment', async (t) => {
  const folder = temporaryFolder(t);
  const results = join(folder, 'results');
  const runner = startTestbed(t, 'experiment', 'run', FILE, '--results', results);
  const { exitCode, stderr } = await runner.ended;
  t.comment(stderr);
  t.equal(exitCode, 0, stderr);
  const records = recordsIn(results);
  const runs = latestAttempts(records);
  const report = await runTestbed(t, 'report', results);
  t.equal(report.exitCode, 0, report.stderr);
  const read = (name: string): string => readFileSync(join(results, 'report', name), 'utf8');
  const { schema, attempts, settings } = JSON.parse(read('report.json')) as ReportDocument;

  await t.test('carries out and keeps every run', async (t) => {
    t.same(
      runs.map(runKey).sort(),
      GUESTS.flatMap((guest) => POLICIES.map((policy) => `${guest}/lan-1g/${policy}/0`)).sort(),
    );
    for (const run of runs) {
      const key = runKey(run);
      t.not(run.outcome, 'failed', `${key}: ${run.reason}`);
      if (surelyCompletes(run)) t.equal(run.outcome, 'completed', `${key}: ${run.reason}`);
      t.same([run.coherent, run.lostPages, run.lostBlocks], [true, 0, 0], `${key} lost nothing`);
      const { rows } = readTrace(join(results, run.files.trace!));
      t.ok(
        rows.some(({ type }) => type === 'observation') && rows.some(({ type }) => type === 'outcome'),
        `${key}: its trace goes to the end`,
      );
      const series = JSON.parse(readFileSync(join(results, run.files.series!), 'utf8')) as RunSeries;
      t.ok(series.work.length > 10, `${key}: the guest's work over time`);
      if (run.outcome === 'completed') t.ok(series.silences.length > 0, `${key}: its silences`);
    }
    t.same(await leftOnMachine([runner.child.pid!], folder), [], 'nothing stays on the machine');
  });

  await t.test('becomes a report of four files, each complete', (t) => {
    t.match(schema, /^slackwater\/report@/);
    t.equal(attempts, records.length);
    t.same(
      settings.map(({ guest, cells }) => [guest, cells.map(({ policy, runs }) => `${policy} ${runs}`)]),
      GUESTS.map((guest) => [guest, POLICIES.map((policy) => `${policy} 1`)]),
    );
    const csv = read('runs.csv').trimEnd().split('\r\n');
    t.equal(csv.length, records.length + 1, 'a line for each attempt');
    const markdown = read('report.md');
    for (const name of [...GUESTS, ...POLICIES]) t.match(markdown, name);
    t.end();
  });

  const skip =
    chromiumPath === undefined ? 'no chromium, chromium-headless-shell or google-chrome on PATH' : false;
  await t.test('is drawn by a browser, without error and without network', { skip }, async (t) => {
    const path = join(results, 'report', 'report.html');
    const page = await lookAt(t, pathToFileURL(path).href);
    t.same(page.errors, [], 'nothing is complained of');
    t.same(page.requests, [pathToFileURL(path).href], 'nothing else is loaded');
    t.equal(page.emptyFigures, 0);
    for (const { id, widthPx, heightPx, invisible } of page.figures) {
      t.ok(widthPx > 300 && heightPx > 100, `${id}: ${widthPx} x ${heightPx}`);
      t.same(invisible, [], `${id}: every mark is to be seen`);
    }
    const marksOf = (id: string): unknown => page.figures.find((figure) => figure.id === id)?.marks;
    settings.forEach(({ guest, cells }, index) => {
      const counted = countingRuns(records).filter((run) => run.guest === guest);
      const finished = cells.filter((cell) => cell.tmt_ms !== null).length;
      t.same(
        marksOf(`tmt-${index}`),
        { bar: finished, point: counted.filter(isCompleted).length },
        `${guest}: a bar for each policy that finished, a dot for each of its runs`,
      );
      const curves = cells.flatMap((cell) =>
        [cell.downtime_qemu_ms, cell.downtime_stop_to_resume_ms, cell.downtime_guest_ms].filter(
          (each) => each !== null,
        ),
      );
      t.same(marksOf(`downtime-${index}`), { curve: curves.length }, `${guest}: a line for each clock`);
      // Of each guest the adaptive run, and a peer's.
      const lanes = ['remaining', 'bandwidth', 'work'].map((lane) => [`line ${lane}`, 1]);
      t.match(
        marksOf(`timeline-${2 * index}`),
        Object.fromEntries([...lanes, ['line forecast', 1]]),
        `${guest}: the adaptive migration from start to end`,
      );
      t.match(
        marksOf(`timeline-${2 * index + 1}`),
        Object.fromEntries(lanes),
        `${guest}: and stock pre-copy`,
      );
    });
    t.equal(page.figures.length, 4 * settings.length, 'no figure is left out');
  });
});

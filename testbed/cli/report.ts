// SPDX-License-Identifier: Apache-2.0
// slackwater-testbed report DIR, compare A B and publish DIR TO.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { EXIT } from '../../src/index.ts';
import {
  buildReport,
  chooseTimelineRuns,
  compareResultSets,
  comparisonDocument,
  comparisonLines,
  renderCsv,
  renderHtml,
  renderJson,
  renderMarkdown,
  seededRandom,
} from '../../src/report/index.ts';
import { publishResults } from '../experiment/publish.ts';
import { readResults, readTimeline } from '../experiment/read-results.ts';

/** Resampling is part of a report: the same results give the same figures. */
const SEED = 1;

function reportCommand(directory: string, flags: { readonly out?: string }): void {
  const set = readResults(directory);
  const report = buildReport(set, seededRandom(SEED));
  const timelines = chooseTimelineRuns(report.settings).map((record) => readTimeline(directory, record));
  const out = resolve(flags.out ?? join(directory, 'report'));
  mkdirSync(out, { recursive: true });
  const files = {
    'report.html': renderHtml(report, timelines),
    'report.md': renderMarkdown(report),
    'report.json': renderJson(report),
    'runs.csv': renderCsv(set.records),
  };
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(out, name), content);
    process.stdout.write(`${join(out, name)}\n`);
  }
}

function publishCommand(directory: string, to: string, flags: { readonly traces?: boolean }): void {
  const set = readResults(directory);
  const report = buildReport(set, seededRandom(SEED));
  const drawn = new Set(chooseTimelineRuns(report.settings));
  publishResults(directory, to, set.records, { drawn, allTraces: flags.traces === true });
  writeFileSync(join(to, 'report.md'), renderMarkdown(report));
  process.stdout.write(`${resolve(to)}\n`);
}

function compareCommand(before: string, after: string, flags: { readonly json?: boolean }): void {
  const comparison = compareResultSets(readResults(before), readResults(after), seededRandom(SEED));
  process.stdout.write(
    flags.json === true
      ? `${JSON.stringify(comparisonDocument(comparison))}\n`
      : `${comparisonLines(comparison).join('\n')}\n`,
  );
  if (comparison.worse) process.exitCode = EXIT.comparedWorse;
}

export function registerReport(program: Command): void {
  program
    .command('publish <dir> <to>')
    .description(
      'what of a result directory is worth keeping: every record, the traces that the report draws',
    )
    .option('--traces', 'keep the traces of all runs, for replays')
    .action(publishCommand);
  program
    .command('report <dir>')
    .description('results as one HTML file with figures, a Markdown table, CSV and JSON')
    .option('--out <dir>', 'where they are written; default DIR/report')
    .action(reportCommand);
  program
    .command('compare <before> <after>')
    .description('which cells really changed between two result directories; exit 10 when one got worse')
    .option('--json', 'one JSON document on stdout')
    .action(compareCommand);
}

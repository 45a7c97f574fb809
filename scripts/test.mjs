#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// `npm test [-- unit|contract|live ...] [FILE ...] [--tap-option ...]`: makes this clone ready and runs the suites. The last
// line says how many tests passed, failed and were skipped. A suite in which nothing ran has failed.

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { failWith } from './say.mjs';
import { ensureReady } from './setup.mjs';
import { TapCounter } from './tap-count.mjs';

const root = join(import.meta.dirname, '..');

// Live tests share two CPUs with their own guests: one at a time.
const SUITES = {
  unit: ['--jobs=2', '--timeout=120'],
  contract: ['--jobs=2', '--timeout=120'],
  live: ['--jobs=1', '--timeout=1800'],
};

function filesOf(suite) {
  const folder = join(root, 'test', suite);
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => relative(root, join(folder, name)))
    .sort();
}

async function runSuite(suite, files, options) {
  const counter = new TapCounter(({ result, where, reason }) => {
    const why = result === 'skipped' ? ` (${reason === '' ? 'no reason given' : reason})` : '';
    process.stdout.write(`${result === 'failed' ? 'FAILED ' : result} ${where}${why}\n`);
  });
  const argv = [
    join(root, 'node_modules', 'tap', 'dist', 'esm', 'run.mjs'),
    ...['--reporter=tap', '--disable-coverage', '--allow-empty-coverage', '--allow-incomplete-coverage'],
    ...SUITES[suite],
    ...options,
    ...files,
  ];
  const child = spawn(process.execPath, argv, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  const ended = new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  for await (const line of createInterface({ input: child.stdout })) counter.line(line);
  const { failures, counts } = counter;
  for (const { where, diagnosis } of failures) process.stdout.write(`\nFAILED ${where}\n${diagnosis}\n`);
  const code = await ended;
  const ran = counts.passed + counts.failed + counts.skipped;
  let broken = '';
  if (ran === 0) broken = 'no test ran';
  else if (code !== 0 && counts.failed === 0)
    broken = `tap ended with exit code ${code}, though no test failed`;
  else if (!counter.sawPlan) broken = 'the output of tap ends before its plan';
  if (broken !== '') {
    counts.failed++;
    process.stdout.write(`FAILED ${suite}: ${broken}\n`);
  }
  return counts;
}

async function main(args) {
  const options = args.filter((arg) => arg.startsWith('-'));
  const files = args
    .filter((arg) => arg.endsWith('.test.ts'))
    .map((arg) => relative(root, join(process.cwd(), arg)));
  const named = args.filter((arg) => !options.includes(arg) && !arg.endsWith('.test.ts'));
  const unknown = named.find((name) => !(name in SUITES));
  if (unknown !== undefined) {
    process.stderr.write(
      `error: wanted a suite (${Object.keys(SUITES).join(', ')}) or a test file, got "${unknown}"\n`,
    );
    return 2;
  }
  const suiteOfFile = (file) => Object.keys(SUITES).find((suite) => file.startsWith(`test/${suite}/`));
  const chosen = Object.keys(SUITES).filter((suite) =>
    named.length + files.length === 0
      ? true
      : named.includes(suite) || files.some((file) => suiteOfFile(file) === suite),
  );
  const purpose = chosen.includes('live') ? 'test' : chosen.includes('contract') ? 'contract' : 'unit';
  await ensureReady({ for: purpose });

  const sums = { passed: 0, failed: 0, skipped: 0 };
  for (const suite of chosen) {
    const wanted = named.includes(suite) ? [] : files.filter((file) => suiteOfFile(file) === suite);
    process.stdout.write(`# ${suite}\n`);
    const counts = await runSuite(suite, wanted.length > 0 ? wanted : filesOf(suite), options);
    for (const key of Object.keys(sums)) sums[key] += counts[key];
  }
  const { passed, failed, skipped } = sums;
  process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  return failed > 0 || passed === 0 ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  failWith(error);
}

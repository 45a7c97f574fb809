#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// `npm test [-- unit|contract|patient|live|patched ...] [FILE ...] [--grep=PATTERN]`: makes this clone ready and runs the
// suites. The last line says how many tests passed, failed and were skipped. A suite in which nothing ran has failed.

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { failWith } from './say.mjs';
import { ensureReady } from './setup.mjs';
import { TapCounter } from './tap-count.mjs';

const root = join(import.meta.dirname, '..');

// How many files run at a time, and how long one may take. Live tests share two CPUs with their own guests: one at a time,
// and nothing beside those that measure. `patient` are those of them that measure nothing, two at a time, the longest first: with
// three no CPU was ever idle. `patched` is what needs the QEMU with the project's patch series, and what depends on QEMU at all once more
// on that one.
const PATIENT = [
  ...['hosts', 'experiment-failures', 'gang', 'failures', 'ssh', 'workloads'],
  ...['kill', 'attach', 'testbed-reaper', 'series', 'coherence'],
].map(fileNamed);
const ON_BOTH = ['migrate', 'estimate'].map(fileNamed);
const ON_PATCHED = ['pages', 'kvm'].map(fileNamed);
const SUITES = {
  unit: { jobs: 3, timeoutMs: 120_000 },
  contract: { jobs: 4, timeoutMs: 120_000 },
  patient: { jobs: 2, timeoutMs: 3_600_000, folder: 'live', only: PATIENT },
  live: { jobs: 1, timeoutMs: 3_600_000, measures: true, skip: [...PATIENT, ...ON_PATCHED] },
  patched: {
    jobs: 1,
    timeoutMs: 3_600_000,
    measures: true,
    folder: 'live',
    only: [...ON_BOTH, ...ON_PATCHED],
    env: { SLACKWATER_TEST_QEMU: 'patched' },
  },
};

// So that whoever wants the tests to be faster knows where to look.
const WORTH_SAYING_S = 10;

function fileNamed(name) {
  return `${name}.test.ts`;
}

function filesOf(suite) {
  const { folder: name = suite, only, skip = [] } = SUITES[suite];
  const folder = join(root, 'test', name);
  const all = () => readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.test.ts'));
  return (only ?? all().sort())
    .filter((name) => !skip.includes(name))
    .map((name) => relative(root, join(folder, name)));
}

// A test file is a program that prints TAP. It is run with tsx and not by `tap run`, whose own loader compiles anew for each
// file: 1 s instead of 3.5 s a file. Types are checked by `npm run typecheck`.
async function runFile(file, options, { timeoutMs, env: more = {} }) {
  const argv = ['--import', 'tsx', '--enable-source-maps', join(root, file)];
  const grep = options.find((option) => option.startsWith('--grep='));
  const env = {
    ...process.env,
    ...more,
    TAP_TIMEOUT: String(timeoutMs / 1000),
    ...(grep === undefined ? {} : { TAP_GREP: `/${grep.slice('--grep='.length)}/` }),
  };
  const child = spawn(process.execPath, argv, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const stop = (signal) => {
    isInterrupted = true;
    child.kill(signal);
  };
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT']) process.on(signal, stop);
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  const ended = new Promise((resolve, reject) =>
    child.on('error', reject).on('close', (...how) => resolve(how)),
  );
  const lines = [];
  for await (const line of createInterface({ input: child.stdout })) lines.push(line);
  const [code, signal] = await ended;
  clearTimeout(timer);
  for (const name of ['SIGTERM', 'SIGHUP', 'SIGINT']) process.off(name, stop);
  return { file, lines, code, signal };
}

let isInterrupted = false;

// Building it takes minutes, in which the suites that wait more than they compute can run as well. Whoever measures must
// wait for the end. A build that fails is told here, and once more by the tests that want its QEMU.
function startBuildOfQemu() {
  const program = join(import.meta.dirname, 'build-qemu.mjs');
  const child = spawn('nice', ['-n', '19', process.execPath, program], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const stop = () => {
    isInterrupted = true;
    child.kill('SIGTERM');
  };
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT']) process.on(signal, stop);
  return new Promise((resolve) => child.on('error', resolve).on('exit', resolve));
}

// As a runner would: the file is a subtest that holds its tests.
function count(counter, { file, lines, code, signal }) {
  counter.line(`# Subtest: ${file}`);
  for (const line of lines) counter.line(line === '' ? '' : `    ${line}`);
  if (signal !== null) counter.line(`    not ok 9999 - ended by ${signal}`);
  counter.line(`${code === 0 ? 'ok' : 'not ok'} 1 - ${file}`);
}

async function runSuite(suite, files, options) {
  const counter = new TapCounter(({ result, where, reason }) => {
    const why = result === 'skipped' ? ` (${reason === '' ? 'no reason given' : reason})` : '';
    process.stdout.write(`${result === 'failed' ? 'FAILED ' : result} ${where}${why}\n`);
  });
  const { jobs } = SUITES[suite];
  const waiting = [...files];
  const worker = async () => {
    for (let file = waiting.shift(); file !== undefined && !isInterrupted; file = waiting.shift()) {
      const beganMs = performance.now();
      count(counter, await runFile(file, options, SUITES[suite]));
      const seconds = Math.round((performance.now() - beganMs) / 1000);
      if (seconds >= WORTH_SAYING_S) process.stdout.write(`# ${file}: ${seconds} s\n`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  const { failures, counts } = counter;
  for (const { where, diagnosis } of failures) process.stdout.write(`\nFAILED ${where}\n${diagnosis}\n`);
  if (counts.passed + counts.failed + counts.skipped === 0) {
    counts.failed++;
    process.stdout.write(`FAILED ${suite}: no test ran\n`);
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
  const suiteOfFile = (file) => Object.keys(SUITES).find((suite) => filesOf(suite).includes(file));
  const chosen = Object.keys(SUITES).filter((suite) =>
    named.length + files.length === 0
      ? true
      : named.includes(suite) || files.some((file) => suiteOfFile(file) === suite),
  );
  const needsTestbed = ['patient', 'live', 'patched'].some((suite) => chosen.includes(suite));
  const purpose = needsTestbed ? 'test' : chosen.includes('contract') ? 'contract' : 'unit';
  await ensureReady({ for: purpose });
  const builtQemu = chosen.includes('patched') ? startBuildOfQemu() : undefined;

  const sums = { passed: 0, failed: 0, skipped: 0 };
  for (const suite of chosen) {
    if (SUITES[suite].measures) await builtQemu;
    if (isInterrupted) break;
    const wanted = named.includes(suite) ? [] : files.filter((file) => suiteOfFile(file) === suite);
    process.stdout.write(`# ${suite}\n`);
    const counts = await runSuite(suite, wanted.length > 0 ? wanted : filesOf(suite), options);
    for (const key of Object.keys(sums)) sums[key] += counts[key];
  }
  const { passed, failed, skipped } = sums;
  process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  return failed > 0 || passed === 0 || isInterrupted ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  failWith(error);
}

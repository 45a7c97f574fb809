// SPDX-License-Identifier: Apache-2.0
// Runs the checks and words their results.

import type { Check, Need } from './checks.ts';

export interface CheckResult {
  readonly name: string;
  readonly neededFor: Need;
  /** `unknown`: could not be told, because something that the check itself needs is missing. */
  readonly status: 'ok' | 'missing' | 'unknown';
  readonly found: string;
  readonly whatFor: string;
  readonly remedy: string;
}

/** All results, in the order of the checks. */
export async function runChecks(checks: readonly Check[]): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const { name, neededFor, whatFor, remedy, probe } of checks) {
    const { ok, found } = await probe();
    const status = ok === undefined ? 'unknown' : ok ? 'ok' : 'missing';
    results.push({ name, neededFor, status, found, whatFor, remedy });
  }
  return results;
}

/** Whether something that is needed is not there, or could not be seen. */
export function isLacking({ neededFor, status }: CheckResult): boolean {
  return neededFor !== 'info' && status !== 'ok';
}

const TITLES: Readonly<Record<Need, string>> = {
  control: 'to control migrations',
  testbed: 'to run the testbed: demo, tests, experiments',
  info: 'for information',
};

/** One line per check, under a title for what they are needed for. */
export function formatResults(results: readonly CheckResult[]): string {
  const sections = (Object.keys(TITLES) as Need[]).flatMap((need) => {
    const lines = results.filter(({ neededFor }) => neededFor === need).map(formatLine);
    return lines.length === 0 ? [] : [`${TITLES[need]}\n${lines.join('')}`];
  });
  return sections.join('\n');
}

function formatLine(result: CheckResult): string {
  const { name, status, found, whatFor, remedy } = result;
  const head = `  ${status.padEnd(8)} ${name.padEnd(20)} ${found}\n`;
  // What could not be told has its cause in another line.
  if (!isLacking(result) || status === 'unknown') return head;
  const indent = ' '.repeat(32);
  return `${head}${indent}for: ${whatFor}\n${indent}get: ${remedy}\n`;
}

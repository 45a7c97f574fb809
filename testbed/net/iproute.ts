// SPDX-License-Identifier: Apache-2.0
// Runs `ip` and `tc` inside a namespace, many commands per process: one start costs more than fifty commands.

import { run } from '../process.ts';
import type { Argv } from '../process.ts';

/** How a testbed's short commands are run: with its label, and ending when its creation is aborted. */
export interface CommandContext {
  readonly env: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/** One command per line, in order; stops at the first that fails. @throws ProcessError */
export async function ipBatch(
  context: CommandContext,
  namespace: string,
  lines: readonly string[],
): Promise<void> {
  await batch(context, ['ip', '-n', namespace, '-batch', '-'], lines);
}

/** One command per line, in order; stops at the first that fails. @throws ProcessError */
export async function tcBatch(
  context: CommandContext,
  namespace: string,
  lines: readonly string[],
): Promise<void> {
  await batch(context, ['tc', '-n', namespace, '-batch', '-'], lines);
}

async function batch(context: CommandContext, argv: Argv, lines: readonly string[]): Promise<void> {
  await run(argv, { ...context, input: `${lines.join('\n')}\n` });
}

/** Runs a program inside a namespace to its end; returns its stdout. @throws ProcessError */
export async function runIn(
  context: CommandContext,
  namespace: string,
  argv: Argv,
  options: { readonly input?: string; readonly timeoutMs?: number } = {},
): Promise<string> {
  return (await run(inNamespace(namespace, argv), { ...context, ...options })).stdout;
}

/** The argv that runs a program inside a namespace. The process keeps its pid: `ip` executes it in its own place. */
export function inNamespace(namespace: string, argv: Argv): Argv {
  return ['ip', 'netns', 'exec', namespace, ...argv];
}

/** Writes one value to several sysctl files of a namespace. */
export async function writeSysctls(
  context: CommandContext,
  namespace: string,
  value: string,
  paths: readonly string[],
): Promise<void> {
  if (paths.length > 0) await runIn(context, namespace, ['tee', ...paths], { input: value });
}

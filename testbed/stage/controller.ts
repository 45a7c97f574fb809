// SPDX-License-Identifier: Apache-2.0
// Runs the slackwater command as its users do: a process of its own, judged by its exit code and its JSON document.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot, RefusedError } from '../../src/index.ts';

/** The document of `slackwater migrate --json`. */
export interface MigrateDocument {
  readonly schema: string;
  readonly outcome: string;
  readonly reason: string;
  readonly exit_code: number;
  readonly given_up: boolean;
  readonly policy: string;
  readonly started_at_ms: number;
  readonly waited_ms?: number;
  readonly tmt_ms: number | null;
  readonly tmt_qemu_ms: number | null;
  readonly downtime_qemu_ms: number | null;
  readonly downtime_stop_to_resume_ms: number | null;
  readonly downtime_stop_to_resume_uncertainty_ms: number | null;
  readonly downtime_forecast_ms: number | null;
  readonly transferred_bytes: number | null;
  readonly rounds: number | null;
  readonly used_postcopy: boolean;
  readonly command: string | null;
  readonly not_restored: readonly string[];
}

export interface ControllerResult {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly document: MigrateDocument | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningController {
  readonly child: ChildProcess;
  readonly ended: Promise<ControllerResult>;
}

/** The built command of this checkout. @throws RefusedError when it was not built */
export function slackwaterProgram(): string {
  const program = join(packageRoot(), 'dist', 'src', 'cli', 'main.js');
  if (!existsSync(program)) {
    throw new RefusedError('the slackwater command is not built', { remedy: 'npm run build' });
  }
  return program;
}

/** Starts `slackwater ARGS`. `onLine` gets what it says to people (stderr), line by line; `env` is added to ours. */
export function startController(
  args: readonly string[],
  onLine?: (line: string) => void,
  env: Readonly<Record<string, string>> = {},
): RunningController {
  const child = spawn(process.execPath, [slackwaterProgram(), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let stdout = '';
  let stderr = '';
  let partial = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (stdout += piece));
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    stderr += piece;
    if (onLine === undefined) return;
    const lines = (partial + piece).split('\n');
    partial = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  const ended = new Promise<ControllerResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode, signal) => {
      let document: MigrateDocument | null = null;
      try {
        document = JSON.parse(stdout) as MigrateDocument;
      } catch {
        // Refused or killed before there was an outcome.
      }
      resolve({ exitCode, signal, document, stdout, stderr });
    });
  });
  return { child, ended };
}

export function runController(
  args: readonly string[],
  onLine?: (line: string) => void,
): Promise<ControllerResult> {
  return startController(args, onLine).ended;
}

// SPDX-License-Identifier: Apache-2.0
// Starts a QEMU in a host's namespace and keeps record of it, so that it dies with its testbed whatever becomes of us.

import { once } from 'node:events';
import { open, readFile, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SlackwaterError, UsageError } from '../../src/index.ts';
import type { CommandContext } from '../net/iproute.ts';
import { inNamespace } from '../net/iproute.ts';
import type { HypervisorName } from '../net/plan.ts';
import { namespaceOf } from '../net/plan.ts';
import type { LongLived, ProcessExit } from '../process.ts';
import { startLongLived } from '../process.ts';
import { readIdentity } from './process-identity.ts';
import type { GuestOptions, QemuPaths } from './qemu-argv.ts';
import { qemuArgv } from './qemu-argv.ts';
import { recordProcess } from './run-dir.ts';

const READY_MS = 15_000;
const GREETING_MS = 1000;
const LOG_TAIL_CHARS = 1500;

/** QEMU ended, or said nothing on its monitor, before it could be used. */
export class QemuStartError extends SlackwaterError {
  readonly code = 'ERR_TESTBED_QEMU_START';
}

export interface StartQemuOptions extends GuestOptions {
  readonly host: HypervisorName;
  /** Names this QEMU's files; one running QEMU per label. */
  readonly label: string;
  /** Wait for a migration (`-incoming defer`). */
  readonly incoming: boolean;
  readonly debug?: { readonly gdb: boolean };
}

export interface Qemu extends QemuPaths {
  readonly host: HypervisorName;
  readonly label: string;
  readonly pid: number;
  /** QEMU's stderr, each line with its time. */
  readonly logPath: string;
  /** Resolves when QEMU is gone; never rejects. */
  readonly exited: Promise<ProcessExit>;
  kill(signal?: NodeJS.Signals): boolean;
}

/**
 * Starts QEMU and returns once its monitor answers. `qmpPath` is the user's and untouched so far, `monitorPath` the
 * testbed's own.
 * @throws QemuStartError when QEMU ends or stays silent; its log's end is in the message, and nothing of it runs on
 */
export async function startQemu(
  context: CommandContext,
  testbed: { readonly name: string; readonly directory: string },
  options: StartQemuOptions,
): Promise<Qemu> {
  if (!/^[a-z0-9][a-z0-9-]{0,30}$/.test(options.label)) {
    throw new UsageError(`wanted a label of up to 31 of a-z, 0-9 and "-", got "${options.label}"`);
  }
  const stem = join(testbed.directory, options.label);
  const paths: QemuPaths & { readonly logPath: string } = {
    qmpPath: `${stem}.qmp`,
    monitorPath: `${stem}.monitor`,
    serialPath: `${stem}.console.log`,
    controlPath: `${stem}.control`,
    logPath: `${stem}.qemu.log`,
    ...(options.debug?.gdb === true ? { gdbPath: `${stem}.gdb` } : {}),
  };
  // The sockets of an earlier QEMU of this label would look as if this one were ready.
  for (const path of [paths.qmpPath, paths.monitorPath, paths.controlPath, paths.gdbPath]) {
    if (path !== undefined) await rm(path, { force: true });
  }
  const argv = inNamespace(
    namespaceOf(testbed.name, options.host),
    qemuArgv(testbed.name, options.label, options, paths, options.incoming),
  );
  const log = await open(paths.logPath, 'a', 0o600);
  let qemu: LongLived;
  try {
    qemu = await startLongLived(argv, { env: context.env, stdio: ['ignore', log.fd, log.fd] });
  } finally {
    await log.close();
  }
  try {
    const identity = await readIdentity(qemu.pid);
    if (identity !== undefined) await recordProcess(testbed.directory, options.label, identity);
    await waitUntilReady(qemu, paths.monitorPath, options.label, context.signal);
  } catch (error) {
    qemu.kill();
    await qemu.exited;
    if (!(error instanceof QemuStartError)) throw error;
    const tail = (await readFile(paths.logPath, 'utf8')).trim().slice(-LOG_TAIL_CHARS);
    throw new QemuStartError(`${error.message}; its log ends: ${tail === '' ? '(empty)' : tail}`, {
      remedy: `the whole log, while the testbed stands: ${paths.logPath}`,
    });
  }
  return {
    ...paths,
    host: options.host,
    label: options.label,
    pid: qemu.pid,
    exited: qemu.exited,
    kill: (signal) => qemu.kill(signal),
  };
}

async function waitUntilReady(
  qemu: LongLived,
  monitorPath: string,
  label: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const deadlineMs = performance.now() + READY_MS;
  let exit: ProcessExit | undefined;
  void qemu.exited.then((got) => {
    exit = got;
  });
  while (!(await hasGreeting(monitorPath))) {
    signal?.throwIfAborted();
    if (exit !== undefined) {
      throw new QemuStartError(
        `wanted QEMU ${label} running, got its end (exit code ${exit.exitCode ?? 'none'}, signal ${exit.signal ?? 'none'})`,
      );
    }
    if (performance.now() > deadlineMs) {
      throw new QemuStartError(
        `wanted a greeting on the monitor of QEMU ${label} within ${READY_MS} ms, got none`,
      );
    }
    await delay(20);
  }
}

/** Whether a QMP server greets on that socket; leaves it free for the next client. */
async function hasGreeting(path: string): Promise<boolean> {
  const socket = createConnection(path).setTimeout(GREETING_MS);
  socket.on('timeout', () => socket.destroy(new Error('silent')));
  try {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    return chunk.includes('"QMP"');
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

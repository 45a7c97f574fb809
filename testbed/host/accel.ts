// SPDX-License-Identifier: Apache-2.0
// KVM or TCG? Decided by trying: a /dev/kvm that opens, and even runs a boot sector, may still not boot a guest.

import { access, constants, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../../src/index.ts';
import type { Argv, LongLived } from './proc.ts';
import { run, startLongLived } from './proc.ts';
import { readBootId } from './process-identity.ts';

const KVM_DEVICE = '/dev/kvm';
const TRIAL_MS = 6000;
// The kernel prints this when it hands over to the initramfs: by then memory, interrupts and timers work.
const BOOTED = 'Run /init as init process';

export interface AcceleratorChoice {
  readonly accelerator: 'kvm' | 'tcg';
  /** Why, in a sentence to print and record. */
  readonly reason: string;
}

export interface AcceleratorTrial {
  readonly kernelPath: string;
  readonly initramfsPath: string;
  /** The answer is kept here, for this kernel, this QEMU and this boot. */
  readonly cacheDir: string;
  readonly qemuPath?: string;
  readonly signal?: AbortSignal;
}

/** KVM where a guest really boots with it, else TCG. The trial takes up to 6 s, once per boot. */
export async function detectAccelerator(trial: AcceleratorTrial): Promise<AcceleratorChoice> {
  try {
    await access(KVM_DEVICE, constants.R_OK | constants.W_OK);
  } catch (error) {
    return { accelerator: 'tcg', reason: `no usable ${KVM_DEVICE}: ${messageOf(error)}` };
  }
  const qemuPath = trial.qemuPath ?? 'qemu-system-x86_64';
  const qemuVersion = (await run([qemuPath, '--version'])).stdout.split('\n')[0] ?? '';
  const key = `${release()} / ${qemuVersion} / ${await readBootId()}`;
  const cachePath = join(trial.cacheDir, 'accelerator.json');
  const cached = await readCached(cachePath, key);
  if (cached !== undefined) return cached;
  const choice = await tryKvm(qemuPath, trial);
  await mkdir(trial.cacheDir, { recursive: true });
  const partial = `${cachePath}.${process.pid}`;
  await writeFile(partial, `${JSON.stringify({ key, ...choice })}\n`);
  await rename(partial, cachePath);
  return choice;
}

async function readCached(path: string, key: string): Promise<AcceleratorChoice | undefined> {
  try {
    const {
      key: cachedKey,
      accelerator,
      reason,
    } = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    const known = accelerator === 'kvm' || accelerator === 'tcg';
    return cachedKey === key && known && typeof reason === 'string' ? { accelerator, reason } : undefined;
  } catch {
    return undefined;
  }
}

async function tryKvm(qemuPath: string, trial: AcceleratorTrial): Promise<AcceleratorChoice> {
  const argv: Argv = [
    qemuPath,
    ...['-no-user-config', '-nodefaults', '-display', 'none', '-no-reboot', '-machine', 'q35'],
    ...['-accel', 'kvm', '-cpu', 'host', '-m', '256M', '-serial', 'stdio'],
    ...['-kernel', trial.kernelPath, '-initrd', trial.initramfsPath, '-append', 'console=ttyS0 panic=-1'],
  ];
  const startMs = performance.now();
  const guest = await startLongLived(argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    const outcome = await watchBoot(guest, trial.signal);
    const tookMs = Math.round(performance.now() - startMs);
    return outcome === 'booted'
      ? { accelerator: 'kvm', reason: `the test kernel boots under KVM (${tookMs} ms)` }
      : { accelerator: 'tcg', reason: `${KVM_DEVICE} is there, but ${outcome}` };
  } finally {
    guest.kill();
    await guest.exited;
  }
}

async function watchBoot(guest: LongLived, signal: AbortSignal | undefined): Promise<string> {
  const limit = AbortSignal.any([AbortSignal.timeout(TRIAL_MS), ...(signal === undefined ? [] : [signal])]);
  const output = { console: '', errors: '' };
  const booted = new Promise<string>((resolve) => {
    guest.child.stdout?.setEncoding('latin1').on('data', (chunk: string) => {
      output.console += chunk;
      if (output.console.includes(BOOTED)) resolve('booted');
    });
  });
  guest.child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (output.errors += chunk));
  const late = new Promise<string>((resolve) => {
    limit.addEventListener('abort', () => {
      const lines = output.console.split('\n').length - 1;
      resolve(
        `the test kernel did not reach its initramfs under it within ${TRIAL_MS / 1000} s (${lines} lines printed)`,
      );
    });
  });
  const ended = guest.exited.then(
    () => `QEMU ended under it: ${output.errors.trim().split('\n').at(-1) ?? 'without a word'}`,
  );
  const outcome = await Promise.race([booted, late, ended]);
  signal?.throwIfAborted();
  return outcome;
}

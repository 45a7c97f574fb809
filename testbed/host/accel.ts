// SPDX-License-Identifier: Apache-2.0
// KVM or TCG? Decided by trying: a /dev/kvm that opens, and even runs a boot sector, may still not boot a guest.

import { once } from 'node:events';
import { access, constants, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../../src/index.ts';
import type { Argv, LongLived } from '../process.ts';
import { run, startLongLived } from '../process.ts';
import { readBootId } from './process-identity.ts';

const KVM_DEVICE = '/dev/kvm';
const TRIAL_S = 6;
// Exit codes of `timeout`: after SIGTERM, and when SIGKILL was needed.
const TIMED_OUT = 124;
const TIMED_OUT_KILLED = 137;
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
  /** The answer is kept here, for this kernel, QEMU, CPU model and boot. */
  readonly cacheDir: string;
  readonly qemuPath?: string;
  /** The CPU model that the guests will have; default `host`. */
  readonly cpuModel?: string;
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
  const cpuModel = trial.cpuModel ?? 'host';
  const key = [release(), qemuVersion, cpuModel, await readBootId()].join(' / ');
  const cachePath = join(trial.cacheDir, 'accelerator.json');
  const cached = await readCached(cachePath, key);
  if (cached !== undefined) return cached;
  const choice = await tryKvm(qemuPath, cpuModel, trial);
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

/** The trial itself. `start` starts QEMU, on whichever machine the guests will run. */
export async function tryKvm(
  qemuPath: string,
  cpuModel: string,
  trial: Pick<AcceleratorTrial, 'kernelPath' | 'initramfsPath' | 'signal'>,
  start = startLongLived,
): Promise<AcceleratorChoice> {
  const argv: Argv = [
    // Ends the trial even when we are killed: a guest that hangs under KVM would run for ever.
    ...(['timeout', '--kill-after=1', `${TRIAL_S}`] as const),
    ...[qemuPath, '-no-user-config', '-nodefaults', '-display', 'none', '-no-reboot', '-machine', 'q35'],
    ...['-accel', 'kvm', '-cpu', cpuModel, '-m', '256M', '-serial', 'stdio'],
    ...['-kernel', trial.kernelPath, '-initrd', trial.initramfsPath, '-append', 'console=ttyS0 panic=-1'],
  ];
  const startMs = performance.now();
  const guest = await start(argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  const stop = () => guest.kill('SIGTERM');
  trial.signal?.addEventListener('abort', stop);
  try {
    const outcome = await watchBoot(guest);
    trial.signal?.throwIfAborted();
    const tookMs = Math.round(performance.now() - startMs);
    return outcome === 'booted'
      ? { accelerator: 'kvm', reason: `the test kernel boots under KVM (${tookMs} ms)` }
      : { accelerator: 'tcg', reason: `${KVM_DEVICE} is there, but ${outcome}` };
  } finally {
    trial.signal?.removeEventListener('abort', stop);
    stop();
    await guest.exited;
  }
}

/** `booted`, or what happened instead. */
async function watchBoot(guest: LongLived): Promise<string> {
  const output = { console: '', errors: '' };
  const booted = new Promise<string>((resolve) => {
    guest.child.stdout?.setEncoding('latin1').on('data', (chunk: string) => {
      output.console += chunk;
      if (output.console.includes(BOOTED)) resolve('booted');
    });
  });
  guest.child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (output.errors += chunk));
  const ended = once(guest.child, 'close').then(() => {
    if (guest.child.exitCode !== TIMED_OUT && guest.child.exitCode !== TIMED_OUT_KILLED) {
      return `QEMU ended under it: ${output.errors.trim().split('\n').at(-1) ?? ''}`;
    }
    const lines = output.console.split('\n').length - 1;
    return `the test kernel did not reach its initramfs under it within ${TRIAL_S} s (${lines} lines printed)`;
  });
  return await Promise.race([booted, ended]);
}

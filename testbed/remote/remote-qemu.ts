// SPDX-License-Identifier: Apache-2.0
// A guest's QEMU on a host that is reached over ssh.

import { connectQmp } from '../../src/qmp/index.ts';
import { messageOf } from '../../src/index.ts';
import { type GuestOptions, qemuArgv } from '../host/qemu-argv.ts';
import { QemuStartError } from '../host/qemu.ts';
import { HOST_FOLDER, type Keeper } from './keeper.ts';

export interface RemoteQemu {
  /** On its host. */
  readonly pid: number;
  /** The controller's monitor, by the address that it takes. */
  readonly monitorAddress: string;
  /** A socket on this machine that leads to the guest's control port. */
  readonly controlPath: string;
  /** On its host: QEMU's own, and the guest's console. */
  readonly logPaths: readonly string[];
}

export interface RemoteQemuOptions {
  /** Of the experiment's run; the guest's identity comes of it. */
  readonly run: string;
  readonly label: string;
  readonly incoming: boolean;
  readonly devicePath: string;
  readonly mac: string;
  readonly guest: GuestOptions;
}

// In the order in which the shell that becomes QEMU opens files: its standard ones, then the device.
const DEVICE_FD = 3;
const GREETING_TIMEOUT_MS = 15_000;

/** Starts it and returns once its monitor answers. @throws QemuStartError, RemoteCommandError, HostUnusableError */
export async function launchQemu(keeper: Keeper, options: RemoteQemuOptions): Promise<RemoteQemu> {
  const { host } = keeper;
  const { label } = options;
  const stem = `${HOST_FOLDER}/${label}`;
  const paths = {
    qmpPath: `${stem}.qmp`,
    monitorPath: `${stem}.monitor`,
    serialPath: `${stem}.console.log`,
    controlPath: `${stem}.control`,
  };
  const logPath = `${stem}.qemu.log`;
  const guest = { ...options.guest, nic: { mac: options.mac, fd: DEVICE_FD } };
  const pid = await keeper.launch({
    name: label,
    devicePath: options.devicePath,
    logPath,
    socketPath: paths.monitorPath,
    argv: qemuArgv(options.run, label, guest, paths, options.incoming),
  });
  try {
    const monitor = await connectQmp(await host.forward(paths.monitorPath), {
      greetingTimeoutMs: GREETING_TIMEOUT_MS,
    });
    await monitor.close();
  } catch (error) {
    keeper.lost.throwIfAborted();
    const log = await host.run(['tail', '-c', '1500', logPath]);
    throw new QemuStartError(
      `wanted QEMU ${label} on ${host.name} answering, got ${messageOf(error)}; its log ends: ${log.trim()}`,
      { cause: error },
    );
  }
  return {
    pid,
    monitorAddress: `ssh:${host.name}:${paths.qmpPath}`,
    controlPath: await host.forward(paths.controlPath),
    logPaths: [logPath, paths.serialPath],
  };
}

// SPDX-License-Identifier: Apache-2.0
// What an experiment on real machines needs once: what they are, the guest's kernel and the measuring programs on them, and
// the accelerator with which a guest really boots on both.

import { RefusedError } from '../../src/index.ts';
import type { ExperimentHosts } from '../../src/experiment/index.ts';
import { GUEST_CPU_MODEL } from '../guest/index.ts';
import { tryKvm } from '../host/accel.ts';
import type { AcceleratorChoice } from '../index.ts';
import type { Laboratory } from '../stage/laboratory.ts';
import type { HostFacts } from './host-facts.ts';
import { type ByRole, claimHosts, inspectHosts, releaseHosts } from './hosts.ts';
import type { Keeper } from './keeper.ts';

export interface RemoteLaboratory {
  readonly hosts: ExperimentHosts;
  /** Of this machine, where everything is built. */
  readonly laboratory: Laboratory;
  readonly facts: ByRole<HostFacts>;
  readonly accelerator: AcceleratorChoice;
}

/** @throws RefusedError with everything that keeps the hosts from being used, a line each; HostUnusableError */
export async function openRemoteLaboratory(
  hosts: ExperimentHosts,
  laboratory: Laboratory,
  onProgress: (line: string) => void,
  signal?: AbortSignal,
): Promise<RemoteLaboratory> {
  const { facts, problems } = await inspectHosts(hosts, signal);
  const { source, destination, client } = facts;
  if (problems.length > 0 || source === null || destination === null || client === null) {
    throw new RefusedError(`the hosts cannot be used:\n  ${problems.join('\n  ')}`);
  }
  onProgress(`hosts: ${hosts.source.ssh} to ${hosts.destination.ssh}, asked from ${hosts.client.ssh}`);
  const keepers = await claimHosts(hosts, signal);
  try {
    const { kernelPath, initramfsPath } = laboratory.image;
    const { nonzeroPagesPath, warmMemoryPath, proberPath } = laboratory.tools;
    onProgress("copying the guest's kernel and the measuring programs, where they are not there yet");
    const forGuests = [kernelPath, initramfsPath, nonzeroPagesPath, warmMemoryPath];
    await Promise.all([
      keepers.source.host.copy(forGuests, signal),
      keepers.destination.host.copy(forGuests, signal),
      keepers.client.host.copy([proberPath], signal),
    ]);
    const choose = (keeper: Keeper, qemu: string, { hasKvmDevice }: HostFacts): Promise<AcceleratorChoice> =>
      chooseAccelerator(keeper, qemu, hasKvmDevice, laboratory, signal);
    const choices = await Promise.all([
      choose(keepers.source, hosts.source.qemu, source),
      choose(keepers.destination, hosts.destination.qemu, destination),
    ]);
    const [first] = choices;
    const accelerator = choices.find((choice) => choice.accelerator === 'tcg') ?? first;
    return { hosts, laboratory, facts: { source, destination, client }, accelerator };
  } finally {
    await releaseHosts(Object.values(keepers));
  }
}

async function chooseAccelerator(
  keeper: Keeper,
  qemuPath: string,
  hasKvmDevice: boolean,
  { image }: Laboratory,
  signal: AbortSignal | undefined,
): Promise<AcceleratorChoice> {
  const { host } = keeper;
  if (!hasKvmDevice) return { accelerator: 'tcg', reason: `no usable /dev/kvm on ${host.name}` };
  const [kernelPath = '', initramfsPath = ''] = await host.copy([image.kernelPath, image.initramfsPath]);
  const trial = { kernelPath, initramfsPath, ...(signal === undefined ? {} : { signal }) };
  const choice = await tryKvm(qemuPath, GUEST_CPU_MODEL, trial, (argv, options) =>
    keeper.start('kvm-trial', argv, options),
  );
  return { ...choice, reason: `on ${host.name}: ${choice.reason}` };
}

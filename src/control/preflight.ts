// SPDX-License-Identifier: Apache-2.0
// Checks before anything is changed. Each refusal names the cause and the remedy.

import { RefusedError } from '../common/index.ts';
import { compareDeviceProperties, readDeviceProperties } from './device-properties.ts';
import { compareMachines, readMachine } from './machine.ts';
import { type Endpoint, QUERY_TIMEOUT_MS, type QemuVersion, versionText } from './endpoint.ts';

/**
 * Whether this QEMU loses guest writes when it migrates a TCG guest: syncing the dirty bitmap did not reset the TLB, so
 * pages in it were no longer tracked. Mended in 9.0. A table of known-bad versions may only refuse, never enable.
 */
export function losesTcgWrites(version: QemuVersion): boolean {
  return version.major < 9;
}

/** The forms of a migration URI that both ends can be given alike. @throws RefusedError */
export function checkUri(uri: string): void {
  const tcp = /^tcp:(\[[0-9a-fA-F:]+\]|[^:[\]\s]+):(\d{1,5})$/.exec(uri);
  const port = Number(tcp?.[2] ?? 0);
  if ((tcp !== null && port > 0 && port < 65_536) || /^unix:\/.+$/.test(uri)) return;
  throw new RefusedError(`expected a migration address such as tcp:HOST:PORT, got "${uri}"`, {
    remedy: 'HOST is an address of the destination host, PORT a free port there',
  });
}

export async function preflightSource(source: Endpoint): Promise<void> {
  if (!source.kvm && losesTcgWrites(source.version)) {
    throw new RefusedError(
      `QEMU ${versionText(source.version)} loses guest writes when it migrates a TCG guest; 9.0 or newer is needed`,
      { remedy: 'run the guest under KVM or a newer QEMU' },
    );
  }
  const options = { timeoutMs: QUERY_TIMEOUT_MS };
  const [run, migration] = await Promise.all([
    source.client.execute('query-status', undefined, options),
    source.client.execute('query-migrate', undefined, options),
  ]);
  const status = migration.status ?? 'none';
  if (['setup', 'active', 'device', 'cancelling', 'postcopy-active', 'postcopy-paused'].includes(status)) {
    throw new RefusedError(`a migration is under way on the source already (${status})`, {
      remedy: 'control that one with "slackwater attach", or end it with "slackwater cancel"',
    });
  }
  if (run.status === 'postmigrate') {
    throw new RefusedError('the source is what a finished migration left: its guest runs elsewhere', {
      remedy: 'name the monitor of the QEMU in which the guest runs',
    });
  }
  if (!run.running) {
    throw new RefusedError(`the guest on the source does not run (${run.status})`, {
      remedy: 'resume it first ("cont"), then migrate',
    });
  }
  const blockers = migration['blocked-reasons'] ?? [];
  if (blockers.length > 0) {
    throw new RefusedError(`the guest cannot be migrated now: ${blockers.join('; ')}`, {
      remedy: 'detach or replace what blocks it',
    });
  }
}

/** The destination waits for this very guest. */
export async function preflightDestination(source: Endpoint, destination: Endpoint): Promise<void> {
  if (
    source.instance.vcpuThreadId === destination.instance.vcpuThreadId &&
    source.instance.startTicks !== null
  ) {
    throw new RefusedError('source and destination are the same QEMU', {
      remedy: 'check --qmp and --dest-qmp',
    });
  }
  const options = { timeoutMs: QUERY_TIMEOUT_MS };
  const [run, migration] = await Promise.all([
    destination.client.execute('query-status', undefined, options),
    destination.client.execute('query-migrate', undefined, options),
  ]);
  const status = migration.status ?? 'none';
  if (run.status !== 'inmigrate' || status !== 'none') {
    const found = run.status === 'inmigrate' ? `already listening (${status})` : run.status;
    throw new RefusedError(`expected a destination that waits for a guest, got one that is ${found}`, {
      remedy: 'start it with the source\'s command line plus "-incoming defer"',
    });
  }
  const [here, there] = await Promise.all([readMachine(source.client), readMachine(destination.client)]);
  // Properties only of machines with the same devices: their names are paths to devices.
  const difference =
    compareMachines(here, there) ??
    compareDeviceProperties(
      ...(await Promise.all([readDeviceProperties(source.client), readDeviceProperties(destination.client)])),
    );
  if (difference !== null) {
    throw new RefusedError(difference, {
      remedy: 'start the destination with the same machine type, memory, CPUs and devices as the source',
    });
  }
}

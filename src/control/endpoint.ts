// SPDX-License-Identifier: Apache-2.0
// One end of a migration: a connection to its QEMU, who that QEMU is, and what it offers.

import { type Clock, systemClock } from '../common/index.ts';
import { type End, type QemuInstance, startTicksOf } from '../act/index.ts';
import { connectQmp, parseQmpAddress, type QmpAddress, type QmpClient } from '../qmp/index.ts';

export interface QemuVersion {
  readonly major: number;
  readonly minor: number;
  readonly micro: number;
}

export interface Endpoint {
  readonly end: End;
  readonly address: QmpAddress;
  readonly client: QmpClient;
  readonly instance: QemuInstance;
  readonly version: QemuVersion;
  /** False under TCG. */
  readonly kvm: boolean;
}

export interface EndpointOptions {
  readonly insecure: boolean;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
  /** Longest wait for the greeting and for the negotiation. */
  readonly timeoutMs?: number;
}

/** Deadline of questions that QEMU answers from memory; it may stall for 150 ms at a switchover. */
export const QUERY_TIMEOUT_MS = 5000;

/** Whether both monitors are Unix sockets, so that both QEMUs run on this host and share its clock. */
export function shareClock(a: QmpAddress, b: QmpAddress): boolean {
  return a.kind === 'unix' && b.kind === 'unix';
}

export function versionText(version: QemuVersion): string {
  return `${version.major}.${version.minor}.${version.micro}`;
}

/** Who is behind the monitor: UUID, first vCPU's thread and, on this host, when that thread started. */
export async function readInstance(
  client: QmpClient,
  end: End,
  addressText: string,
  address: QmpAddress,
): Promise<QemuInstance> {
  const options = { timeoutMs: QUERY_TIMEOUT_MS };
  const [uuid, vcpus] = await Promise.all([
    client.execute('query-uuid', undefined, options),
    client.execute('query-cpus-fast', undefined, options),
  ]);
  const vcpuThreadId = vcpus[0]?.['thread-id'] ?? 0;
  return {
    end,
    address: addressText,
    uuid: uuid.UUID,
    vcpuThreadId,
    startTicks: address.kind === 'unix' ? startTicksOf(vcpuThreadId) : null,
  };
}

/** Connects and asks who is there. The connection is closed again when anything fails. */
export async function openEndpoint(
  end: End,
  addressText: string,
  options: EndpointOptions,
): Promise<Endpoint> {
  const address = parseQmpAddress(addressText, { insecure: options.insecure });
  const client = await connectQmp(address, {
    clock: options.clock ?? systemClock,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.timeoutMs === undefined ? {} : { greetingTimeoutMs: options.timeoutMs }),
  });
  try {
    const query = { timeoutMs: QUERY_TIMEOUT_MS };
    const [instance, version, kvm] = await Promise.all([
      readInstance(client, end, addressText, address),
      client.execute('query-version', undefined, query),
      client.execute('query-kvm', undefined, query),
    ]);
    return { end, address, client, instance, version: version.qemu, kvm: kvm.enabled };
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** The slower of both ends' round trips: what a receive time can be late by. */
export async function measureRoundTrip(a: Endpoint, b: Endpoint, clock: Clock): Promise<number> {
  const times = await Promise.all(
    [a, b].map(async ({ client }) => {
      const startMs = clock.nowMs();
      await client.execute('query-status', undefined, { timeoutMs: QUERY_TIMEOUT_MS });
      return clock.nowMs() - startMs;
    }),
  );
  return Math.max(...times);
}

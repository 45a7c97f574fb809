// SPDX-License-Identifier: Apache-2.0
// The front door of the testbed: two hosts that can run a guest, a client of the guest, and a switch between them, on one
// machine. Needs root. Everything that a testbed makes goes with `down`, or with `reap` when its creator was killed.

import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RefusedError, UsageError } from '../src/index.ts';
import { LABEL_VARIABLE } from './host/process-identity.ts';
import type { Argv, LongLived, RunOptions, RunResult } from './process.ts';
import { run, startLongLived } from './process.ts';
import type { Qemu, StartQemuOptions } from './host/qemu.ts';
import { startQemu } from './host/qemu.ts';
import type { Leftovers } from './host/reaper.ts';
import { findLeftovers, presentNamespaces, removeIfThere, removeRemains } from './host/reaper.ts';
import type { Owner } from './host/run-dir.ts';
import {
  NoSuchTestbedError,
  claimRunDirectory,
  listEntries,
  readFacts,
  readOwner,
  runDirectory,
  writeFacts,
  writeOwner,
} from './host/run-dir.ts';
import type { GoodputOptions } from './net/goodput.ts';
import { measureGoodput } from './net/goodput.ts';
import type { CommandContext } from './net/iproute.ts';
import { inNamespace } from './net/iproute.ts';
import { cutLink, restoreLink, setRate } from './net/link-control.ts';
import type { LinkProfile } from './net/link-profiles.ts';
import { parseLink } from './net/link-profiles.ts';
import type { HostName, TestbedMember } from './net/plan.ts';
import { checkName, MAX_GUESTS, namespaceOf } from './net/plan.ts';
import { bringUpNetwork } from './net/topology.ts';

export { detectAccelerator } from './host/accel.ts';
export type { AcceleratorChoice } from './host/accel.ts';
export { ProcessError, run, startLongLived } from './process.ts';
export type { Argv, LongLived, ProcessExit, RunOptions, RunResult } from './process.ts';
export { listTestbeds } from './host/listing.ts';
export type { TestbedSummary } from './host/listing.ts';
export { guestUuid } from './host/qemu-argv.ts';
export type { GuestOptions } from './host/qemu-argv.ts';
export { QemuStartError } from './host/qemu.ts';
export type { Qemu, StartQemuOptions } from './host/qemu.ts';
export { findLeftovers, reap, removeTestbed } from './host/reaper.ts';
export type { Leftovers } from './host/reaper.ts';
export { NoSuchTestbedError } from './host/run-dir.ts';
export { LINK_PROFILES, linkOfRate, parseLink } from './net/link-profiles.ts';
export type { LinkProfile } from './net/link-profiles.ts';
export {
  ENDPOINTS,
  GUEST_TAP,
  guestEndpoint,
  guestTap,
  HOST_BRIDGE,
  HOST_NIC,
  namespaceOf,
  NEIGHBOUR_ENDPOINTS,
  switchInlet,
} from './net/plan.ts';
export type { HostName, HypervisorName, NeighbourName, TestbedMember } from './net/plan.ts';

const DISK_BYTES = 256 * 1024 * 1024;

export interface Testbed extends AsyncDisposable {
  readonly name: string;
  /** The link that it was made with; `setRate` may have changed the rate since. */
  readonly link: LinkProfile;
  /** Its run directory: sockets, logs and the guest's disk; goes with `down`. */
  readonly directory: string;
  /** A sparse raw file of 256 MiB that both hosts see. */
  readonly diskPath: string;
  startQemu(options: StartQemuOptions): Promise<Qemu>;
  /** The argv that runs a program on a host. */
  argvOn(host: TestbedMember, argv: Argv): Argv;
  /** Runs a program on a host to its end. @throws ProcessError */
  runOn(host: TestbedMember, argv: Argv, options?: RunOptions): Promise<RunResult>;
  /** Starts a program on a host that runs on; it is killed by `down` at the latest. */
  startOn(
    host: TestbedMember,
    argv: Argv,
    options?: Parameters<typeof startLongLived>[1],
  ): Promise<LongLived>;
  /** Makes the switch swallow all packets from and to a host, as a pulled cable does. The host's NIC stays up. */
  cutLink(host: HostName): Promise<void>;
  restoreLink(host: HostName): Promise<void>;
  /** Changes the rate of all links, both ways, while traffic flows. */
  setRate(rateBytesPerSec: number): Promise<void>;
  /** Goodput of one TCP stream in bytes per second, by iperf3; default from src to dst for 2 s. */
  measureGoodput(options?: GoodputOptions): Promise<number>;
  /** Leaves the testbed standing when this process ends, until `slackwater-testbed down`. */
  keep(): Promise<void>;
  /** Kills all that runs in it and removes all of it; harmless when it is gone already. */
  down(): Promise<void>;
  /** What of this testbed can be found on the machine; after `down` everything in it is empty. */
  snapshotLeftovers(): Promise<Leftovers>;
}

export interface CreateTestbedOptions {
  /** Default: a name of this process's own. */
  readonly name?: string;
  /** A profile's name, a rate such as "300mbit", or a profile. Default `lan-1g`. */
  readonly link?: string | LinkProfile;
  /** Guests that it is to have at once, 1 to 16; default 1. */
  readonly guests?: number;
  /** Whether it has VMs that stay, as namespaces beside the hypervisors. */
  readonly neighbours?: boolean;
  /** Aborting while it is made takes down what there is and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

let created = 0;

/**
 * Makes a testbed. When that fails half-way, what was made is taken down before the error is thrown.
 * @throws UsageError for a wrong name or link
 * @throws RefusedError when not root, or when something of that name is there already
 * @throws ProcessError when the kernel or a tool refuses a step
 */
export async function createTestbed(options: CreateTestbedOptions = {}): Promise<Testbed> {
  const name = checkName(options.name ?? `lab-${process.pid}-${++created}`);
  const link = typeof options.link === 'object' ? options.link : parseLink(options.link ?? 'lan-1g');
  if (process.getuid?.() !== 0) {
    throw new RefusedError('wanted root to make network namespaces, got another user', {
      remedy: 'run it as root; what else it needs: slackwater doctor',
    });
  }
  if (
    !Number.isInteger(options.guests ?? 1) ||
    (options.guests ?? 1) < 1 ||
    (options.guests ?? 1) > MAX_GUESTS
  ) {
    throw new UsageError(`wanted 1 to ${MAX_GUESTS} guests, got ${String(options.guests)}`);
  }
  options.signal?.throwIfAborted();
  const directory = runDirectory(name);
  if (!(await listEntries()).some((entry) => entry.name === name)) await refuseForeignNamespaces(name);
  const owner = await claimRunDirectory(name);
  try {
    const context: CommandContext = { env: { [LABEL_VARIABLE]: owner.label }, signal: options.signal };
    await bringUpNetwork(context, name, link, {
      guests: options.guests ?? 1,
      neighbours: options.neighbours === true,
    });
    const diskPath = join(directory, 'disk.raw');
    await writeFile(diskPath, '', { mode: 0o600 });
    await truncate(diskPath, DISK_BYTES);
    // Fails when somebody took the directory away meanwhile; then the network goes too.
    await writeFacts(directory, { link, createdMs: Date.now() });
  } catch (error) {
    await removeRemains(name);
    throw error;
  }
  return openedTestbed(name, link, owner);
}

/** A testbed that stands already, made by whomever. @throws NoSuchTestbedError */
export async function openTestbed(name: string): Promise<Testbed> {
  const directory = runDirectory(checkName(name));
  const [facts, owner] = [await readFacts(directory), await readOwner(directory)];
  if (facts === undefined || owner === undefined) {
    throw new NoSuchTestbedError(`wanted testbed ${name}, got none that is complete`, {
      remedy: 'see which there are: slackwater-testbed list',
    });
  }
  return openedTestbed(name, facts.link, owner);
}

async function refuseForeignNamespaces(name: string): Promise<void> {
  const present = await presentNamespaces(name);
  if (present.length === 0) return;
  throw new RefusedError(
    `wanted to create testbed ${name}, got namespaces of others: ${present.join(', ')}`,
    {
      remedy: 'take another --name',
    },
  );
}

function openedTestbed(name: string, link: LinkProfile, owner: Owner): Testbed {
  const directory = runDirectory(name);
  const context: CommandContext = { env: { [LABEL_VARIABLE]: owner.label } };
  const argvOn = (host: TestbedMember, argv: Argv) => inNamespace(namespaceOf(name, host), argv);
  const withLabel = (env: Readonly<Record<string, string>> | undefined) => ({
    env: { ...env, ...context.env },
  });
  const down = async () => {
    await removeIfThere(name);
  };
  return {
    name,
    link,
    directory,
    diskPath: join(directory, 'disk.raw'),
    startQemu: (options) => startQemu(context, { name, directory }, options),
    argvOn,
    runOn: (host, argv, options) => run(argvOn(host, argv), { ...options, ...withLabel(options?.env) }),
    startOn: (host, argv, options) =>
      startLongLived(argvOn(host, argv), { ...options, ...withLabel(options?.env) }),
    cutLink: (host) => cutLink(context, name, host),
    restoreLink: (host) => restoreLink(context, name, host),
    setRate: (rateBytesPerSec) => setRate(context, name, rateBytesPerSec),
    measureGoodput: (options) => measureGoodput(context, name, options),
    keep: () => writeOwner(directory, { ...owner, kept: true }),
    down,
    snapshotLeftovers: () => findLeftovers(name),
    [Symbol.asyncDispose]: down,
  };
}

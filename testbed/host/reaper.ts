// SPDX-License-Identifier: Apache-2.0
// Removes testbeds, whole or half made, and says what is left of one. Kills only what is recorded as ours, carries our label
// or runs inside our own namespaces; removes only namespaces of a testbed that has a run directory.

import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { RefusedError } from '../../src/index.ts';
import { allNamespacesOf } from '../net/plan.ts';
import { NAMESPACE_DIRECTORY } from '../net/topology.ts';
import { run } from '../process.ts';
import type { ProcessIdentity } from './process-identity.ts';
import {
  isRunning,
  killAndWait,
  processesInNamespaces,
  processesWithLabel,
  readCommandLine,
  readNamespaceInode,
} from './process-identity.ts';
import type { RunEntry } from './run-dir.ts';
import {
  NoSuchTestbedError,
  claimForRemoval,
  claimRunDirectory,
  isAbandoned,
  listEntries,
  readOwner,
  readRecordedProcesses,
} from './run-dir.ts';

// A command that a killed creator had just started may still be on its way to creating something: look again after this.
const GRACE_MS = 100;
const REMAINS_ATTEMPTS = 50;
// As long as a removal may take whose processes do not die at once.
const OTHERS_REMOVAL_MS = 15_000;

/** What is left of a testbed; all empty when nothing is. */
export interface Leftovers {
  readonly namespaces: readonly string[];
  readonly processes: readonly string[];
  /** Files and sockets under the run root. */
  readonly files: readonly string[];
  /** Interfaces of ours in the root namespace, where none should ever be. */
  readonly rootInterfaces: readonly string[];
  /** Qdiscs in the root namespace that somebody set (those that the kernel gives have handle 0:). */
  readonly rootQdiscs: readonly string[];
}

/** Removes one testbed, whoever made it. @throws NoSuchTestbedError */
export async function removeTestbed(name: string): Promise<void> {
  const entries = (await listEntries()).filter((entry) => entry.name === name);
  const wanted: RunEntry[] = [];
  for (const entry of entries) {
    if (entry.kind === 'testbed' || (await isAbandoned(entry))) wanted.push(entry);
  }
  if (wanted.length === 0) {
    throw new NoSuchTestbedError(`wanted testbed ${name}, got none of that name`, {
      remedy: 'see which there are: slackwater-testbed list',
    });
  }
  for (const entry of wanted) await removeEntry(entry, true);
}

/** As `removeTestbed`, but content when there is none. */
export async function removeIfThere(name: string): Promise<void> {
  try {
    await removeTestbed(name);
  } catch (error) {
    if (!(error instanceof NoSuchTestbedError)) throw error;
  }
}

/**
 * After a creation that failed: removes what it made, also when somebody took its run directory away meanwhile (then it is
 * claimed again, so that what is left can be found until it is gone).
 */
export async function removeRemains(name: string): Promise<void> {
  for (let attempt = 0; attempt < REMAINS_ATTEMPTS; attempt++) {
    await removeIfThere(name);
    if ((await presentNamespaces(name)).length === 0) return;
    try {
      await claimRunDirectory(name);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      await delay(GRACE_MS);
    }
  }
}

/**
 * Removes every testbed that nobody looks after (with `all`, the kept ones too); returns their names. One that somebody else
 * is removing at that moment is waited for (15 s at most), and taken over when its remover dies.
 */
export async function reap(options: { readonly all?: boolean } = {}): Promise<string[]> {
  const removed = new Set<string>();
  const deadlineMs = performance.now() + OTHERS_REMOVAL_MS;
  for (;;) {
    for (const entry of await listEntries()) {
      const kept = entry.kind === 'testbed' && (await readOwner(entry.directory))?.kept === true;
      if (!(await isAbandoned(entry)) && !(options.all === true && kept)) continue;
      if (await removeEntry(entry, kept)) removed.add(entry.name);
    }
    const isSomebodyRemoving = (await listEntries()).some(({ kind }) => kind === 'removing');
    if (!isSomebodyRemoving || performance.now() > deadlineMs) return [...removed];
    await delay(GRACE_MS);
  }
}

async function removeEntry(entry: RunEntry, ownerMayLive: boolean): Promise<boolean> {
  const directory = await claimForRemoval(entry, ownerMayLive);
  if (directory === undefined) return false;
  // A directory that was never claimed for its name has made nothing yet: the namespaces are somebody else's.
  if (entry.kind !== 'new') {
    const inodes = new Set<bigint>();
    const creatorLives = (await readOwner(directory))?.pid === process.pid;
    await removePass(directory, entry.name, inodes);
    do {
      if (!creatorLives) await delay(GRACE_MS);
    } while (await removePass(directory, entry.name, inodes));
  }
  await rm(directory, { recursive: true, force: true });
  return true;
}

/** Kills and removes what there is; false when there was nothing. `inodes` keeps the namespaces seen, named or not. */
async function removePass(directory: string, name: string, inodes: Set<bigint>): Promise<boolean> {
  const namespaces = await presentNamespaces(name);
  for (const namespace of namespaces) {
    const inode = await readNamespaceInode(join(NAMESPACE_DIRECTORY, namespace));
    if (inode !== undefined) inodes.add(inode);
  }
  const processes = await ownProcesses(directory, inodes);
  await killAndWait(processes);
  for (const namespace of namespaces) {
    // Fails only when somebody else was faster; the next pass sees.
    await run(['ip', 'netns', 'delete', namespace], { allowFailure: true });
  }
  return namespaces.length > 0 || processes.length > 0;
}

async function ownProcesses(directory: string, inodes: ReadonlySet<bigint>): Promise<ProcessIdentity[]> {
  const recorded: ProcessIdentity[] = [];
  for (const identity of await readRecordedProcesses(directory)) {
    if (await isRunning(identity)) recorded.push(identity);
  }
  const owner = await readOwner(directory);
  const labelled = owner === undefined ? [] : await processesWithLabel((label) => label === owner.label);
  const all = [...recorded, ...labelled, ...(await processesInNamespaces(inodes))];
  return [...new Map(all.map((identity) => [identity.pid, identity])).values()];
}

/** The namespaces of these names that exist, whoever made them. */
export async function presentNamespaces(name: string): Promise<string[]> {
  const present = await readdir(NAMESPACE_DIRECTORY).catch((): string[] => []);
  return allNamespacesOf(name).filter((namespace) => present.includes(namespace));
}

/** What of testbed `name` can be found on this machine, in words. */
export async function findLeftovers(name: string): Promise<Leftovers> {
  const namespaces = await presentNamespaces(name);
  const inodes = new Set<bigint>();
  for (const namespace of namespaces) {
    const inode = await readNamespaceInode(join(NAMESPACE_DIRECTORY, namespace));
    if (inode !== undefined) inodes.add(inode);
  }
  const processes = [
    ...(await processesInNamespaces(inodes)),
    ...(await processesWithLabel((label) => label.startsWith(`${name}@`))),
  ];
  const described = await Promise.all(
    processes.map(async ({ pid }) => `${pid} ${await readCommandLine(pid)}`),
  );
  const files: string[] = [];
  for (const entry of await listEntries()) {
    if (entry.name !== name) continue;
    files.push(entry.directory, ...(await filesBelow(entry.directory)));
  }
  return { namespaces, processes: [...new Set(described)], files, ...(await rootNetworkLeftovers()) };
}

async function filesBelow(directory: string): Promise<string[]> {
  const names = await readdir(directory, { recursive: true }).catch((): string[] => []);
  return names.map((name) => join(directory, name));
}

async function rootNetworkLeftovers(): Promise<Pick<Leftovers, 'rootInterfaces' | 'rootQdiscs'>> {
  const links = JSON.parse((await run(['ip', '-j', 'link', 'show'])).stdout) as { ifname: string }[];
  const qdiscs = JSON.parse((await run(['tc', '-j', 'qdisc', 'show'])).stdout) as {
    kind: string;
    handle: string;
    dev?: string;
  }[];
  return {
    rootInterfaces: links
      .map(({ ifname }) => ifname)
      .filter((name) => /^(?:[pi]-(?:src|dst|client)|sw0)$/.test(name)),
    rootQdiscs: qdiscs
      .filter(({ handle }) => handle !== '0:')
      .map(({ kind, handle, dev }) => `${dev ?? '?'} ${kind} ${handle}`),
  };
}

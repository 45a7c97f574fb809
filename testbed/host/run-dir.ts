// SPDX-License-Identifier: Apache-2.0
// The run directory of a testbed: /run/slackwater-testbed/NAME. It exists before the first namespace and goes after the last,
// so whatever a killed creator leaves behind can be found. It is claimed and given up by one rename each.

import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RefusedError, SlackwaterError } from '../../src/index.ts';
import type { LinkProfile } from '../net/link-profiles.ts';
import type { ProcessIdentity } from './process-identity.ts';
import { isRunning, ownIdentity } from './process-identity.ts';

export const RUN_ROOT = '/run/slackwater-testbed';

/** A testbed that is asked for does not exist. */
export class NoSuchTestbedError extends SlackwaterError {
  readonly code = 'ERR_TESTBED_NOT_FOUND';
  override readonly exitCode = 2;
}

/** Who made a testbed, and whether it is to stay when its maker is gone. */
export interface Owner extends ProcessIdentity {
  /** On every process of the testbed, in the environment. */
  readonly label: string;
  /** Made by `slackwater-testbed up`: only `down` removes it, not `reap`. */
  readonly kept: boolean;
}

/** What a complete testbed says about itself; absent while it is being made. */
export interface TestbedFacts {
  readonly link: LinkProfile;
  readonly createdMs: number;
}

/** What a name under the run root means. `new`: not yet claimed. `removing`: somebody takes it down, or died doing so. */
export interface RunEntry {
  readonly kind: 'testbed' | 'new' | 'removing';
  readonly name: string;
  readonly directory: string;
}

export function runDirectory(name: string): string {
  return join(RUN_ROOT, name);
}

/** What a file name under the run root stands for; undefined for what is not ours. */
export function parseEntry(fileName: string): RunEntry | undefined {
  const match = /^(?:\.(new|removing)-([a-z0-9][a-z0-9-]*)@\d+-\d+|([a-z0-9][a-z0-9-]*))$/.exec(fileName);
  if (match === null) return undefined;
  const [, kind, transientName, plainName] = match;
  const name = transientName ?? plainName;
  if (name === undefined) return undefined;
  return {
    kind: kind === 'new' || kind === 'removing' ? kind : 'testbed',
    name,
    directory: join(RUN_ROOT, fileName),
  };
}

/** All entries, of all names. */
export async function listEntries(): Promise<RunEntry[]> {
  const names = await readdir(RUN_ROOT).catch(ignoreMissing([]));
  return names.map(parseEntry).filter((entry) => entry !== undefined);
}

async function transientName(kind: 'new' | 'removing', name: string): Promise<string> {
  const own = await ownIdentity();
  return join(RUN_ROOT, `.${kind}-${name}@${own.pid}-${own.startTicks}`);
}

/**
 * Makes the run directory with its owner file in it, all at once.
 * @throws RefusedError when a testbed of that name stands, or is being removed
 */
export async function claimRunDirectory(name: string): Promise<Owner> {
  const identity = await ownIdentity();
  const label = `${name}@${identity.pid}-${identity.startTicks}-${Date.now()}`;
  const owner: Owner = { ...identity, label, kept: false };
  await mkdir(RUN_ROOT, { recursive: true, mode: 0o700 });
  const fresh = await transientName('new', name);
  await rm(fresh, { recursive: true, force: true });
  await mkdir(join(fresh, 'pids'), { recursive: true, mode: 0o700 });
  await writeJson(join(fresh, 'owner'), owner);
  try {
    await rename(fresh, runDirectory(name));
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    throw new RefusedError(`wanted to create testbed ${name}, got one of that name already`, {
      cause: error,
      remedy: `take another --name, or remove it: slackwater-testbed down ${name}`,
    });
  }
  const removing = (await listEntries()).find((entry) => entry.kind === 'removing' && entry.name === name);
  if (removing === undefined) return owner;
  await rm(runDirectory(name), { recursive: true, force: true });
  throw new RefusedError(
    `wanted to create testbed ${name}, got one of that name that is still being removed`,
    {
      remedy: 'wait a moment, or finish a broken removal: slackwater-testbed reap',
    },
  );
}

/**
 * Takes an entry out of use: afterwards only the caller works on it. Its new directory, or undefined when somebody else was
 * first, or (with `ownerMayLive` false) when it turned out to belong to a running process.
 */
export async function claimForRemoval(entry: RunEntry, ownerMayLive: boolean): Promise<string | undefined> {
  const claimed = await transientName('removing', entry.name);
  try {
    await rename(entry.directory, claimed);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const owner = await readOwner(claimed);
  if (ownerMayLive || entry.kind !== 'testbed' || owner === undefined || !(await isRunning(owner)))
    return claimed;
  // Between the look and the rename, the dead owner's testbed was removed and a new one of the same name made.
  await rename(claimed, entry.directory);
  return undefined;
}

/** Whether nobody looks after an entry any more. A testbed that is kept has no need of its maker. */
export async function isAbandoned(entry: RunEntry): Promise<boolean> {
  if (entry.kind !== 'testbed') {
    const match = /@(\d+)-(\d+)$/.exec(entry.directory);
    const { bootId } = await ownIdentity();
    return !(await isRunning({ pid: Number(match?.[1]), startTicks: Number(match?.[2]), bootId }));
  }
  const owner = await readOwner(entry.directory);
  return owner === undefined || (!owner.kept && !(await isRunning(owner)));
}

export async function readOwner(directory: string): Promise<Owner | undefined> {
  return (await readJson(join(directory, 'owner'))) as Owner | undefined;
}

export async function writeOwner(directory: string, owner: Owner): Promise<void> {
  await writeJson(join(directory, 'owner'), owner);
}

export async function readFacts(directory: string): Promise<TestbedFacts | undefined> {
  return (await readJson(join(directory, 'testbed.json'))) as TestbedFacts | undefined;
}

export async function writeFacts(directory: string, facts: TestbedFacts): Promise<void> {
  await writeJson(join(directory, 'testbed.json'), facts);
}

/** Remembers a process, so that it is found again after we are gone. */
export async function recordProcess(
  directory: string,
  label: string,
  identity: ProcessIdentity,
): Promise<void> {
  await writeJson(join(directory, 'pids', `${label}.json`), identity);
}

export async function readRecordedProcesses(directory: string): Promise<ProcessIdentity[]> {
  const files = await readdir(join(directory, 'pids')).catch(ignoreMissing([]));
  const read = await Promise.all(files.map((file) => readJson(join(directory, 'pids', file))));
  return read.filter((identity) => identity !== undefined) as ProcessIdentity[];
}

async function writeJson(path: string, value: unknown): Promise<void> {
  const partial = `${path}.partial`;
  await writeFile(partial, `${JSON.stringify(value)}\n`, { mode: 0o600 });
  await rename(partial, path);
}

// A file that is absent or torn says nothing; what it stood for is found by label and namespace.
async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return undefined;
  }
}

function ignoreMissing<T>(instead: T): (error: unknown) => T {
  return (error) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return instead;
    throw error;
  };
}

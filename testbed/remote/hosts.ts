// SPDX-License-Identifier: Apache-2.0
// The three hosts of an experiment together: looked at, and claimed all or none.

import { hostname } from 'node:os';
import { messageOf } from '../../src/index.ts';
import type { ExperimentHosts } from '../../src/experiment/index.ts';
import { type HostFacts, hostProblems, type HostRole, readHostFacts } from './host-facts.ts';
import { Keeper } from './keeper.ts';
import { RemoteHost } from './remote-host.ts';

type Role = HostRole['role'];
export type ByRole<T> = Readonly<Record<Role, T>>;

/** The hypervisors first: where one of them is in use, the client need not be asked. */
export function rolesOf({ source, destination, client }: ExperimentHosts): ByRole<HostRole> {
  return {
    source: { role: 'source', ssh: source.ssh, address: source.address, hypervisor: source },
    destination: {
      role: 'destination',
      ssh: destination.ssh,
      address: destination.address,
      hypervisor: destination,
    },
    client: { role: 'client', ssh: client.ssh, address: client.address },
  };
}

async function forEachRole<T, U>(values: ByRole<T>, use: (value: T) => Promise<U>): Promise<ByRole<U>> {
  const [source, destination, client] = await Promise.all([
    use(values.source),
    use(values.destination),
    use(values.client),
  ]);
  return { source, destination, client };
}

export interface InspectedHosts {
  /** Null where the host could not be asked. */
  readonly facts: ByRole<HostFacts | null>;
  /** Why the experiment cannot be carried out there, a line each; none: it can. */
  readonly problems: readonly string[];
}

/** Looks at all three, and changes nothing. */
export async function inspectHosts(hosts: ExperimentHosts, signal?: AbortSignal): Promise<InspectedHosts> {
  const problems: string[] = [];
  const facts = await forEachRole(rolesOf(hosts), async (role) => {
    try {
      await using host = await RemoteHost.connect(role.ssh, signal);
      const found = await readHostFacts(host, role, signal);
      problems.push(...hostProblems(role, found).map((problem) => `${role.role} ${role.ssh}: ${problem}`));
      return found;
    } catch (error) {
      signal?.throwIfAborted();
      problems.push(`${role.role}: ${messageOf(error)}`);
      return null;
    }
  });
  const [source, destination] = [facts.source?.qemu ?? null, facts.destination?.qemu ?? null];
  if (source !== null && destination !== null && source !== destination) {
    // Machine types without a version in their name differ between versions, and such a guest does not migrate.
    problems.push(`destination ${hosts.destination.ssh}: wanted the source's ${source}, got ${destination}`);
  }
  return { facts, problems: problems.sort() };
}

let claims = 0;

/** Connects to all three and claims them; on rejection none is claimed. @throws HostUnusableError */
export async function claimHosts(hosts: ExperimentHosts, signal?: AbortSignal): Promise<ByRole<Keeper>> {
  const owner = `${hostname()} process ${process.pid} claim ${++claims} of ${new Date().toISOString()}`;
  const claimed: Keeper[] = [];
  try {
    const results = await Promise.allSettled(
      Object.values(rolesOf(hosts)).map(async ({ ssh }) => {
        const host = await RemoteHost.connect(ssh, signal);
        try {
          const keeper = await Keeper.claim(host, owner, signal);
          claimed.push(keeper);
          return keeper;
        } catch (error) {
          await host.close();
          throw error;
        }
      }),
    );
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    signal?.throwIfAborted();
  } catch (error) {
    await releaseHosts(claimed).catch(() => undefined);
    throw error;
  }
  const of = (ssh: string): Keeper => {
    const keeper = claimed.find(({ host }) => host.name === ssh);
    if (keeper === undefined) throw new Error(`host ${ssh} was claimed and is not there`);
    return keeper;
  };
  return {
    source: of(hosts.source.ssh),
    destination: of(hosts.destination.ssh),
    client: of(hosts.client.ssh),
  };
}

/** Has everything undone on all of them and closes the connections. @throws HostUnusableError, once all have been seen to */
export async function releaseHosts(keepers: readonly Keeper[]): Promise<void> {
  const results = await Promise.allSettled(
    keepers.map(async (keeper) => {
      try {
        await keeper.stop();
      } finally {
        await keeper.host.close();
      }
    }),
  );
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

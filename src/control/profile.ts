// SPDX-License-Identifier: Apache-2.0
// A guest watched before its migration, by whatever its QEMU offers: page by page, or by samples of its pages.

import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { type Clock, formatMs, messageOf, RefusedError } from '../common/index.ts';
import { shiftProfile } from '../forecast/index.ts';
import type { GuestProfile, ProfileSample } from '../model/index.ts';
import { ActivityReader, canSampleDirtyPages, type HostFiles, profileGuest } from '../observe/index.ts';
import type { QmpSchema } from '../qmp/index.ts';
import { type Endpoint, type EndpointOptions, openEndpoint } from './endpoint.ts';
import { readMemoryBytes } from './machine.ts';
import { shortensQueueOf } from './open-send-queue.ts';
import type { PageControl } from './page-control.ts';
import { type Reporter, silentReporter } from './types.ts';

export interface ProfileDeps {
  readonly source: Endpoint;
  readonly schema: QmpSchema;
  readonly profileMs: number;
  /** Null on a stock QEMU. */
  readonly pages: PageControl | null;
  readonly reporter: Reporter;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  readonly onSample?: (sample: ProfileSample) => void;
}

const hostFiles: HostFiles = {
  readText: (path) => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return null;
    }
  },
  list: (path) => {
    try {
      return readdirSync(path);
    } catch {
      return [];
    }
  },
  countZeroPages: (path, positions, pageBytes) => {
    let file: number | undefined;
    try {
      file = openSync(path, 'r');
      const page = Buffer.alloc(pageBytes);
      const nothing = Buffer.alloc(pageBytes);
      let zero = 0;
      for (const position of positions) {
        readSync(file, page, 0, pageBytes, position);
        if (page.equals(nothing)) zero += 1;
      }
      return zero;
    } catch {
      // Not ours to read: then it is not known.
      return null;
    } finally {
      if (file !== undefined) closeSync(file);
    }
  },
};

/** What was seen; times are ms before the return. Null where this QEMU offers no way to look, which is said. */
export async function takeProfile(deps: ProfileDeps): Promise<GuestProfile | null> {
  const { source, schema, profileMs, pages, reporter, clock } = deps;
  if (pages === null && !canSampleDirtyPages(schema)) {
    reporter.note('the guest is not watched before: this QEMU does not sample dirty pages over milliseconds');
    return null;
  }
  const memoryBytes = await readMemoryBytes(source.client);
  reporter.note(`watching the guest for ${formatMs(profileMs)}`);
  const isHere = source.address.kind === 'unix';
  const activity = await ActivityReader.open(
    hostFiles,
    clock,
    source.client,
    isHere ? source.instance.vcpuThreadId : null,
    memoryBytes,
  );
  const samples =
    pages === null
      ? await profileGuest(source.client, clock, {
          memoryBytes,
          profileMs,
          activity,
          ...(deps.signal === undefined ? {} : { signal: deps.signal }),
          ...(deps.onSample === undefined ? {} : { onSample: deps.onSample }),
        }).catch((error: unknown): ProfileSample[] => {
          if (deps.signal?.aborted === true) return [];
          throw error;
        })
      : await watchPages(deps, pages, activity);
  return shiftProfile({ memoryBytes, samples }, -clock.nowMs());
}

async function watchPages(
  { profileMs, clock, signal, onSample }: ProfileDeps,
  pages: PageControl,
  activity: ActivityReader,
): Promise<ProfileSample[]> {
  const samples: ProfileSample[] = [];
  const endMs = clock.nowMs() + profileMs;
  pages.onWindow((window) => {
    const atMs = clock.nowMs();
    if (atMs > endMs) return;
    void activity.take().then(
      (taken) => {
        const sample = { ...window, atMs, activity: taken };
        samples.push(sample);
        onSample?.(sample);
      },
      // Its monitor is gone: whoever migrates will find out.
      () => undefined,
    );
  });
  await pages.startWatching();
  await clock.sleep(profileMs, signal).catch(() => undefined);
  pages.onWindow(() => undefined);
  return samples;
}

/** What is known of a guest that is not (yet) to be migrated. */
export interface WatchedGuest {
  readonly profile: GuestProfile;
  /** A switch to post-copy would find the send queue short. */
  readonly shortensQueue: boolean;
}

/** Watches a guest by page sampling: nothing of its QEMU is changed. @throws QmpError, RefusedError */
export async function watchGuest(
  address: string,
  profileMs: number,
  options: EndpointOptions & {
    readonly clock: Clock;
    readonly onSample?: (sample: ProfileSample) => void;
  },
): Promise<WatchedGuest> {
  const source = await openEndpoint('source', address, options);
  const { clock, signal, onSample } = options;
  try {
    const schema = await source.client.readSchema();
    const profile = await takeProfile({
      source,
      schema,
      profileMs,
      pages: null,
      reporter: silentReporter,
      clock,
      signal,
      ...(onSample === undefined ? {} : { onSample }),
    });
    signal?.throwIfAborted();
    if (profile === null || profile.samples.length === 0) {
      throw new RefusedError(`the guest behind ${address} cannot be watched`, {
        remedy:
          'calc-dirty-rate by page sampling over milliseconds is needed (QEMU 8.2 or newer), and nobody else at it',
      });
    }
    return { profile, shortensQueue: shortensQueueOf(source, schema) };
  } catch (error) {
    if (signal?.aborted === true) throw error;
    if (error instanceof RefusedError) throw error;
    throw new RefusedError(`the guest behind ${address} cannot be watched: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    await source.client.close();
  }
}

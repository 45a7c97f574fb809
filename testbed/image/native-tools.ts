// SPDX-License-Identifier: Apache-2.0
// The measuring programs that run on the host, built into the cache.

import { join } from 'node:path';
import type { BuildOptions } from './build-cache.ts';
import { BUILD_TIMEOUT_MS, defaultCacheDir, ensureCached, hashOfInputs, nativeDir } from './build-cache.ts';
import { run } from '../process.ts';

export interface NativeTools {
  readonly proberPath: string;
  readonly kvloadPath: string;
  readonly nicwatchPath: string;
  readonly nonzeroPagesPath: string;
  readonly udploadPath: string;
  readonly warmMemoryPath: string;
}

/** Paths of the programs, compiled when the cache has none from these sources and this compiler. @throws ProcessError */
export async function ensureNativeTools(options: BuildOptions = {}): Promise<NativeTools> {
  const cacheDir = options.cacheDir ?? defaultCacheDir();
  const sources = join(nativeDir(), 'host');
  const key = await hashOfInputs([(await run(['gcc', '--version'])).stdout], [sources]);
  const dir = await ensureCached(cacheDir, `native-tools-${key}`, async (workDir) => {
    options.onProgress?.('compiling the measuring programs');
    await run(['make', '-s', '-C', sources, `OUT=${workDir}`], { timeoutMs: BUILD_TIMEOUT_MS });
  });
  return {
    proberPath: join(dir, 'prober'),
    kvloadPath: join(dir, 'kvload'),
    nicwatchPath: join(dir, 'nicwatch'),
    nonzeroPagesPath: join(dir, 'nonzero-pages'),
    udploadPath: join(dir, 'udpload'),
    warmMemoryPath: join(dir, 'warm-memory'),
  };
}

// SPDX-License-Identifier: Apache-2.0
// Upstream tarballs out of Debian's source packages. apt looks them up in lists of its own below a scratch directory, so
// that this machine's configuration stays as it is.

import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ImageError } from '../errors.ts';
import { type Argv, run } from '../process.ts';
import { BUILD_TIMEOUT_MS } from './build-cache.ts';
import { onlyEntry } from './debian-packages.ts';

export interface SourceTarball {
  /** Of the source package. */
  readonly version: string;
  readonly name: string;
  readonly sha256: string;
}

const DEBIAN_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** The upstream tarballs among the stanzas that `apt-cache showsrc` prints, in their order. */
export function parseSources(source: string, stanzas: string): SourceTarball[] {
  return stanzas.split(/\n\s*\n/).flatMap((stanza): SourceTarball[] => {
    const version = /^Version: (\S+)$/m.exec(stanza)?.[1];
    const sums = /^Checksums-Sha256:\s*\n((?: .*\n?)+)/m.exec(stanza)?.[1] ?? '';
    const tarball = /^ ([0-9a-f]{64}) \d+ (\S+\.orig\.tar\.xz)$/m.exec(sums);
    const isWanted = new RegExp(`^Package: ${source}$`, 'm').test(stanza);
    if (!isWanted || version === undefined || tarball?.[1] === undefined || tarball[2] === undefined)
      return [];
    return [{ version, sha256: tarball[1], name: tarball[2] }];
  });
}

/** Where this machine gets Debian from: the URI behind one of its suites. @throws ImageError */
async function debianMirror(): Promise<string> {
  const targets = await run([
    'apt-get',
    'indextargets',
    '--format',
    '$(ORIGIN) $(LABEL) $(REPO_URI)',
    'Created-By: Packages',
  ]);
  const uri = /^Debian Debian (\S+)$/m.exec(targets.stdout)?.[1];
  if (uri === undefined) {
    throw new ImageError("apt's source files name no Debian to take source packages from", {
      remedy: 'apt-get update (Debian 12 or later)',
    });
  }
  return uri;
}

/** A source package's tarballs in some suites, to choose from and to download. */
export class DebianSource {
  readonly #source: string;
  readonly #apt: readonly string[];
  readonly tarballs: readonly SourceTarball[];

  private constructor(source: string, apt: readonly string[], tarballs: readonly SourceTarball[]) {
    this.#source = source;
    this.#apt = apt;
    this.tarballs = tarballs;
  }

  /** Reads the signed indexes of the suites; `scratchDir` exists and is the caller's. @throws ImageError, ProcessError */
  static async open(source: string, suites: readonly string[], scratchDir: string): Promise<DebianSource> {
    const dir = join(scratchDir, 'apt');
    await mkdir(join(dir, 'lists', 'partial'), { recursive: true });
    await mkdir(join(dir, 'archives', 'partial'), { recursive: true });
    const mirror = await debianMirror();
    const signedBy = existsSync(DEBIAN_KEYRING) ? ` [signed-by=${DEBIAN_KEYRING}]` : '';
    const entries = suites.map((suite) => `deb-src${signedBy} ${mirror} ${suite} main\n`);
    await writeFile(join(dir, 'sources.list'), entries.join(''));
    const apt = [
      `Dir::Etc::sourcelist=${join(dir, 'sources.list')}`,
      'Dir::Etc::sourceparts=-',
      `Dir::State::lists=${join(dir, 'lists')}`,
      `Dir::Cache=${dir}`,
      // apt's own unprivileged user cannot write here; what it downloads is checked against the signed index all the same.
      'APT::Sandbox::User=root',
    ].flatMap((option) => ['-o', option]);
    await run(['apt-get', ...apt, '-q', 'update'], { timeoutMs: BUILD_TIMEOUT_MS });
    const shown = await run(['apt-cache', ...apt, 'showsrc', '--only-source', source]);
    return new DebianSource(source, apt, parseSources(source, shown.stdout));
  }

  /** Downloads the tarball into a directory that holds no other and returns its path. @throws ImageError, ProcessError */
  async download({ version, name, sha256 }: SourceTarball, dir: string): Promise<string> {
    const argv: Argv = [
      'apt-get',
      ...this.#apt,
      '-q',
      'source',
      '--download-only',
      '--tar-only',
      `${this.#source}=${version}`,
    ];
    await run(argv, { cwd: dir, timeoutMs: BUILD_TIMEOUT_MS });
    const path = await onlyEntry(dir, /\.orig\.tar\.xz$/);
    const got = createHash('sha256');
    await pipeline(createReadStream(path), got);
    const gotHex = got.digest('hex');
    if (gotHex !== sha256) throw new ImageError(`wanted ${name} with SHA-256 ${sha256}, got ${gotHex}`);
    return path;
  }
}

// SPDX-License-Identifier: Apache-2.0
// Which version of the package this is.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** From the nearest package.json above this file, in the sources as in what is built from them. */
export function packageVersion(): string {
  let directory = import.meta.dirname;
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  const { version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
    version: string;
  };
  return version;
}

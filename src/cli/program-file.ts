// SPDX-License-Identifier: Apache-2.0
// The slackwater command as a file: the guardian runs it when we are dead; its package says which version it is.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export function programFile(): string {
  return fileURLToPath(new URL('./main.js', import.meta.url));
}

/** From the nearest package.json above this file, in the sources as in what is built from them. */
export function packageVersion(): string {
  let directory = import.meta.dirname;
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  const { version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
    version: string;
  };
  return version;
}

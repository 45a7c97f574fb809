// SPDX-License-Identifier: Apache-2.0
// Where the testbed's own data files lie, found from the sources as from what is built from them.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

function packageRoot(): string {
  let directory = import.meta.dirname;
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  return directory;
}

export function experimentsFolder(): string {
  return join(packageRoot(), 'testbed', 'experiments');
}

// SPDX-License-Identifier: Apache-2.0
// The file of the slackwater command itself, which the guardian runs when we are dead.

import { fileURLToPath } from 'node:url';

export function programFile(): string {
  return fileURLToPath(new URL('./main.js', import.meta.url));
}

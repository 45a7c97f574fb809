// SPDX-License-Identifier: Apache-2.0
// The applications that a test guest can run beside its checked memory. Each is a script native/guest/apps/NAME, which
// reads its settings from the environment (app_KEY).

import type { AppName } from '../../src/experiment/index.ts';
import { GuestSpecError } from '../errors.ts';

export interface GuestApp {
  readonly name: AppName;
  /** Read by the application's script as `$app_KEY`. */
  readonly settings: Readonly<Record<string, string | number>>;
  /** Size of a second virtio disk of the application's own; absent: none. */
  readonly diskMib?: number;
}

/** Where the servers among them listen. */
export const APP_PORTS: Readonly<Partial<Record<AppName, number>>> = { redis: 6379, memcached: 11211 };

/** The words of the kernel's command line that start an application. @throws GuestSpecError */
export function appCommandLineWords(app: GuestApp): string[] {
  const settings = Object.entries(app.settings).map(([key, value]) => {
    if (!/^[a-z][a-z0-9_]*$/.test(key) || !/^[\w.:/-]+$/.test(String(value))) {
      throw new GuestSpecError(
        `guest: wanted a setting of ${app.name} of letters, digits and ". : / -", got "${key}=${value}"`,
      );
    }
    return `sw.app.${key}=${value}`;
  });
  return [`sw.app=${app.name}`, ...settings];
}

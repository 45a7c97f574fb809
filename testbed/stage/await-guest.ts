// SPDX-License-Identifier: Apache-2.0
// Waits for a guest that boots.

import { GuestControl, type GuestSpec } from '../guest/index.ts';

const BOOT_TIMEOUT_MS = 60_000;
// A second disk is formatted and filled before its application runs.
const APP_TIMEOUT_MS = 60_000;

/** Until its memory is filled, its writer at work and its application, if it has one, running. @throws GuestControlError */
export async function awaitGuest(controlPath: string, { app }: GuestSpec): Promise<void> {
  const control = await GuestControl.connect(controlPath);
  try {
    await control.waitReady(BOOT_TIMEOUT_MS);
    if (app !== undefined) await control.waitApp(APP_TIMEOUT_MS);
  } finally {
    control.close();
  }
}

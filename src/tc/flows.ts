// SPDX-License-Identifier: Apache-2.0
// The connections to a port, by their own ports: which of them is which, only whoever opened them can tell.

import { checkPort } from './names.ts';
import type { Place } from './place.ts';
import { runAt } from './run.ts';

/** Local ports in what `ss -Htn` says: "ESTAB 0 0 10.0.0.1:43210 10.0.0.2:4444", IPv6 in brackets. */
export function localPorts(text: string): number[] {
  return text.split('\n').flatMap((line) => {
    const local = line.trim().split(/\s+/).at(-2);
    const port = Number(/:(\d+)$/.exec(local ?? '')?.[1]);
    return Number.isInteger(port) && port > 0 ? [port] : [];
  });
}

/** Local ports of the established TCP connections from that place to `port` anywhere. @throws TcError */
export async function connectionsTo(place: Place, port: number): Promise<number[]> {
  return localPorts(
    await runAt(place, ['ss', '-Htn', 'state', 'established', 'dport', '=', `:${checkPort(port)}`]),
  );
}

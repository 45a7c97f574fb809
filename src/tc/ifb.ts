// SPDX-License-Identifier: Apache-2.0
// The receiving direction: what comes in through a NIC is led through an IFB device first, whose sending side can be shaped.

import { TcNoNicError, TcTakenError, TcUnsupportedError } from './errors.ts';
import { checkDevice } from './names.ts';
import { type Place, placeName } from './place.ts';
import { runAt } from './run.ts';
import type { TcSession } from './session.ts';

const PREFIX = 'swi-';
/** A NIC's name has up to 15 characters. */
const LONGEST = 15;

/** The IFB device of a NIC. */
export function ifbOf(device: string): string {
  return `${PREFIX}${checkDevice(device).slice(-(LONGEST - PREFIX.length))}`;
}

/** @throws TcTakenError where somebody looks at what the NIC receives already */
export async function checkReceiving(session: TcSession, device: string): Promise<void> {
  const { qdiscs } = await session.run([], device);
  const kind = qdiscs.map((row) => String(row['kind'])).find((each) => ['ingress', 'clsact'].includes(each));
  if (kind === undefined) return;
  throw new TcTakenError(`what ${device} receives is handled already: ${kind}, an administrator's`, {
    remedy: 'take it away, or go on without shaping what is received',
  });
}

/**
 * Has the kernel learn of IFB devices. Where they are a module it makes two by itself when it is first needed, which nobody
 * would take away again; told beforehand, it makes none. Where they are built in, or that is not ours to do: no effect.
 */
export async function loadIfb(place: Place): Promise<void> {
  await runAt(place, ['modprobe', '--quiet', 'ifb', 'numifbs=0']).catch(() => undefined);
}

/** Everything that the NIC receives goes through the IFB device from now on. @throws TcUnsupportedError, TcError */
export async function leadThroughIfb(place: Place, session: TcSession, device: string): Promise<void> {
  const ifb = ifbOf(device);
  await loadIfb(place);
  const lines = [`link add ${ifb} type ifb`, `link set dev ${ifb} up`];
  await runAt(place, ['ip', '-batch', '-'], `${lines.join('\n')}\n`).catch((error: unknown) => {
    throw new TcUnsupportedError(`no IFB device for ${device} (${placeName(place)}): ${String(error)}`, {
      cause: error,
      remedy: 'this kernel lacks it: go on without shaping what is received',
    });
  });
  await session.run(
    [
      `qdisc add dev ${device} handle ffff: ingress`,
      `filter add dev ${device} parent ffff: protocol all prio 1 u32 match u32 0 0 action mirred egress redirect dev ${ifb}`,
    ],
    device,
  );
}

/** Takes that away again, as much of it as there is; returns whether there was any. */
export async function removeIfb(place: Place, session: TcSession, device: string): Promise<boolean> {
  const ifb = ifbOf(device);
  // The device outlives a NIC that is gone.
  const qdiscs = await session.run([], device).then(
    (answer) => answer.qdiscs,
    (error: unknown) => {
      if (error instanceof TcNoNicError) return [];
      throw error;
    },
  );
  const isLed = qdiscs.some((row) => row['kind'] === 'ingress');
  const links = await runAt(place, ['ip', '-j', 'link', 'show', 'type', 'ifb']);
  const hasIfb = links.includes(`"${ifb}"`);
  // Without our device the ingress is not ours.
  if (isLed && hasIfb) await session.run([`qdisc del dev ${device} ingress`], device);
  if (hasIfb) await runAt(place, ['ip', 'link', 'del', 'dev', ifb]);
  return hasIfb;
}

// SPDX-License-Identifier: Apache-2.0
// The guest's own NIC on a host's: a macvtap device, which QEMU is given as an open file. And the rate of the host's NIC.

import { deviceShaperLines } from '../net/shaper.ts';
import type { LinkProfile } from '../net/link-profiles.ts';
import { RemoteCommandError } from './host-errors.ts';
import type { Keeper } from './keeper.ts';

/** One experiment at a time, one guest at a time: one name does. */
export const GUEST_NIC = 'swguest0';

/** Of our root qdisc: a handle that nobody takes by habit. */
export const SHAPER_HANDLE = '5ac7:';

// A guest that has not arrived yet must not speak: with IPv6 the kernel would, in its name, as soon as the device is up.
const BRING_UP = `
quiet=/proc/sys/net/ipv6/conf/$1/disable_ipv6
[ ! -e "$quiet" ] || echo 1 >"$quiet" || exit 1
PATH=$PATH:/usr/sbin:/sbin
ip link set dev "$1" up || exit 1
for file in /sys/class/net/"$1"/tap*/dev; do echo "device $(cat "$file")"; done
`;

// A machine that was switched off in the middle of things may still have one of that name.
const MAKE_DEVICE = 'rm -f "$1" && exec mknod -m 600 "$1" c "$2" "$3"';

/** The same on every host of an experiment, another one for each guest's address. */
export function guestMac(ip: string): string {
  const bytes = ip
    .split('.')
    .slice(1)
    .map((byte) => Number(byte).toString(16).padStart(2, '0'));
  return ['52:54:00', ...bytes].join(':');
}

/** Makes the guest's NIC on the host's; returns the path of the device that a QEMU there is to open. */
export async function makeGuestNic(keeper: Keeper, nic: string, mac: string): Promise<string> {
  await keeper.change(
    ['delete_link', GUEST_NIC],
    [
      'ip',
      'link',
      'add',
      'link',
      nic,
      'name',
      GUEST_NIC,
      'address',
      mac,
      'type',
      'macvtap',
      'mode',
      'bridge',
    ],
  );
  const said = await keeper.host.run(['sh', '-c', BRING_UP, 'sh', GUEST_NIC]);
  const [, major, minor] = /^device (\d+):(\d+)$/m.exec(said) ?? [];
  if (major === undefined || minor === undefined) {
    throw new RemoteCommandError(keeper.host.name, `wanted the device number of ${GUEST_NIC}, got "${said}"`);
  }
  // The kernel's own /dev/tapN is named by the interface's index, which is another's too where there are namespaces.
  const devicePath = `/dev/slackwater-tap-${major}-${minor}`;
  await keeper.change(['remove_file', devicePath], ['sh', '-c', MAKE_DEVICE, 'sh', devicePath, major, minor]);
  return devicePath;
}

/** Sets the rate of what the host sends through its NIC. */
export async function shapeNic(keeper: Keeper, nic: string, link: LinkProfile): Promise<void> {
  for (const line of deviceShaperLines('add', nic, link, SHAPER_HANDLE)) {
    await keeper.change(['delete_qdisc', nic, SHAPER_HANDLE], ['tc', ...line.split(' ')]);
  }
}

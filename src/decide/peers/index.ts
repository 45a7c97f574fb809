// SPDX-License-Identifier: Apache-2.0
// The folder's list: policies of production systems and papers, each written again from its rules, to compare ours with.

import type { Policy } from '../../model/index.ts';
import { cloudHypervisorPeers } from './cloud-hypervisor.ts';
import { cloudstackPeers } from './cloudstack.ts';
import { fixedMomentPeers } from './fixed-moment.ts';
import type { Peer } from './fold.ts';
import { ganetiPeers } from './ganeti.ts';
import { guestperfPeers } from './guestperf.ts';
import { kubevirtLegacyPeers } from './kubevirt-legacy.ts';
import { kubevirtVep248Peers } from './kubevirt-vep248.ts';
import { novaPeers } from './nova.ts';
import { pacerPeers } from './pacer.ts';
import { proxmoxPeers } from './proxmox.ts';
import { stopRulePeers } from './stop-rules.ts';
import { throttlePeers } from './throttle.ts';
import { vdsmPeers } from './vdsm.ts';
import { xbzrlePeers } from './xbzrle.ts';
import { xenPeers } from './xen.ts';

export { type OutOfReach, PEERS_OUT_OF_REACH } from './out-of-reach.ts';

const PEERS: ReadonlyMap<string, Peer> = new Map(
  [
    throttlePeers,
    xbzrlePeers,
    vdsmPeers,
    novaPeers,
    kubevirtLegacyPeers,
    kubevirtVep248Peers,
    proxmoxPeers,
    ganetiPeers,
    cloudstackPeers,
    cloudHypervisorPeers,
    xenPeers,
    fixedMomentPeers,
    guestperfPeers,
    stopRulePeers,
    pacerPeers,
  ]
    .flat()
    .map((peer) => [peer.id, peer]),
);

export function peerIds(): string[] {
  return [...PEERS.keys()];
}

/** Whether the peer acts at times of its own, so that a time scale means something; false for what is not a peer. */
export function livesByClock(id: string): boolean {
  return PEERS.get(id)?.livesByClock ?? false;
}

/**
 * The peer of that id, all its times (not its downtimes) multiplied by `timeScale`. Undefined where there is no such peer,
 * the scale is not a positive number, or the peer has no times to scale.
 */
export function peerPolicy(id: string, timeScale = 1): Policy | undefined {
  const peer = PEERS.get(id);
  if (peer === undefined || !(timeScale > 0) || !Number.isFinite(timeScale)) return undefined;
  if (timeScale === 1) return peer.create(id, 1);
  return peer.livesByClock ? peer.create(`${id}@x${Number(timeScale.toPrecision(3))}`, timeScale) : undefined;
}

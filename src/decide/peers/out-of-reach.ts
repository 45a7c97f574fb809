// SPDX-License-Identifier: Apache-2.0
// Policies that this folder does not carry out, so that nobody looks for them in vain.

export interface OutOfReach {
  readonly id: string;
  readonly reason: string;
}

export const PEERS_OUT_OF_REACH: readonly OutOfReach[] = [
  {
    id: 'cerroni',
    reason:
      'optimises the rates of several VMs together, round by round, under one link; a policy here sees one VM',
  },
  {
    id: 'complementary-direction',
    reason:
      "chooses pre- or post-copy by the direction of the application's traffic, which no observation holds",
  },
  {
    id: 'traffic-aware-table',
    reason:
      'its tables are looked up by the traffic and contention of a cluster of VMs, which no observation holds',
  },
  {
    id: 'traffic-fuzzy',
    reason: 'clusters VMs by their traffic rates, and is known only from the description in another paper',
  },
  {
    id: 'bandwidth-reservation',
    reason: 'reserves bandwidth in traffic control on the host; QMP reaches the migration stream alone',
  },
  {
    id: 'phase-postpone',
    reason:
      'decides when to start, from the cycle of the workload before the migration; a policy begins with it',
  },
  {
    id: 'elsaid-timing',
    reason:
      "decides when to start, from a forecast of the link's traffic; a policy begins with the migration",
  },
  {
    id: 'calendar-window',
    reason: 'decides when to start, by the calendar; a policy begins with the migration and knows no date',
  },
  {
    id: 'oracle',
    reason:
      'known only in hindsight: an experiment finds it by search and runs it, no migration can ask for it',
  },
  { id: 'hu-skip', reason: 'skips pages that are likely to be dirtied again inside the migration thread' },
  { id: 'me2', reason: 'sends only used pages, run-length coded, inside the migration thread' },
  { id: 'sonic-migration', reason: 'skips free and page-cache pages, which only the guest can name' },
  { id: 'lmcos', reason: "orders pages and slices the vCPUs' time inside the hypervisor" },
  {
    id: 'microwiper',
    reason: 'sends memory in stripes ordered by rewriting rate, inside the migration thread',
  },
];

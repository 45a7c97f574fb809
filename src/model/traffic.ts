// SPDX-License-Identifier: Apache-2.0
// Who uses a NIC, in bytes on the wire: headers, checksums and gaps included, so that the parts add up to what the link carries.

/** Both directions of something: what it sends out through the NIC, and what it gets through it. */
export interface TrafficRates {
  readonly sentBytesPerSec: number;
  readonly receivedBytesPerSec: number;
}

export interface VmTraffic extends TrafficRates {
  readonly name: string;
}

/** One host's NIC, as it was used since the sample before. */
export interface HostTraffic {
  readonly atMs: number;
  /** Everything. */
  readonly nic: TrafficRates;
  /** Migrations: to and from their ports. */
  readonly migration: TrafficRates;
  /** NIC less migration: VMs, and the host itself. Smoothed, as all rates below. */
  readonly workload: TrafficRates;
  readonly vms: readonly VmTraffic[];
}

// SPDX-License-Identifier: Apache-2.0
// What QEMU's migration costs beside the bytes, on the reference machine (QEMU 10.0.2 under TCG). Fitted to runs there: what
// post-copy takes (switch, queue, faults, awakening) and precopyEndMs. Chosen, because nothing measured speaks against them:
// setupMs, syncMsPerGib, zeroBytesPerMs, postcopyEndMs, and faultsHotFirst (so that 83 ms of silence come out). How far the
// model is off as a whole, and on what: bench/README.md.

export interface ModelCosts {
  /** From the migrate command to the first page on the wire. */
  readonly setupMs: number;
  /** One sync of the dirty bitmap, per GiB of guest memory. */
  readonly syncMsPerGib: number;
  /** Zero pages are found by reading them: bytes of guest memory per ms. */
  readonly zeroBytesPerMs: number;
  /** After the last byte of pre-copy: device state out, in, the destination's start, and the source's last word. */
  readonly precopyEndMs: number;
  /** STOP to RESUME of a switch to post-copy, beside what is queued in front of the device state. */
  readonly postcopySwitchMs: number;
  /**
   * What waits in the source's socket and on the link when the stream runs at the link's rate: taken at once when a migration
   * begins, and ahead of the device state when it switches to post-copy.
   */
  readonly queueBytes: number;
  /** From the last page of post-copy to `completed`. */
  readonly postcopyEndMs: number;
  /** Page requests in a row until the guest answers: with all memory sent but the dirty pages, and more with none sent. */
  readonly faultsOfDirtyPages: number;
  readonly faultsOfUnsentPages: number;
  /** The same where the pages that the guest touches first are sent first. */
  readonly faultsHotFirst: number;
  /** A page request on an idle link, and what it waits behind while the background push fills the switch's buffer. */
  readonly faultMs: number;
  readonly pushQueueBytes: number;
  /** All that a page request takes while the push goes on once the send queue was made short, as bytes of the link's rate. */
  readonly shortRequestBytes: number;
  /** From RESUME to the first answer of a guest that lacks nothing: the new host is announced, TCG translates anew. */
  readonly awakeningMs: number;
}

export const REFERENCE_COSTS: ModelCosts = {
  setupMs: 8,
  syncMsPerGib: 6,
  zeroBytesPerMs: 1_500_000,
  precopyEndMs: 30,
  postcopySwitchMs: 7,
  queueBytes: 1_650_000,
  postcopyEndMs: 10,
  faultsOfDirtyPages: 37,
  faultsOfUnsentPages: 80,
  faultsHotFirst: 24,
  faultMs: 0.8,
  pushQueueBytes: 400_000,
  shortRequestBytes: 190_000,
  awakeningMs: 45,
};

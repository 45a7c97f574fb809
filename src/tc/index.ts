// SPDX-License-Identifier: Apache-2.0
// Traffic control of a NIC, through iproute2: classes with promised rates, classifiers that are proven, everything undone; and
// traffic counters. Knows nothing of migration. Public as `slackwater/tc`.

export { type Match, matches, programsOf } from './classifier.ts';
export {
  type Count,
  type CountedVm,
  type CounterPlan,
  counterRules,
  type Counts,
  type CountersUndo,
  readCounters,
  TrafficCounters,
  undoCounters,
  type VmCount,
} from './counters.ts';
export { TcError, TcTakenError, TcUnsupportedError } from './errors.ts';
export { connectionsTo, localPorts } from './flows.ts';
export { ifbOf, loadIfb } from './ifb.ts';
export { type ClassStats, findAnchor, type Qdisc, readClasses, readQdiscs } from './inspect.ts';
export { NicCounters, parseNicCount, readNicCount } from './nic-counters.ts';
export { argvAt, checkHost, HERE, type Place, placeName } from './place.ts';
export type { ProofPath } from './prove.ts';
export { runAt } from './run.ts';
export {
  type ClassChange,
  type Direction,
  type NamedStats,
  NicShaper,
  type NicShaperOptions,
} from './shaper.ts';
export { type NicAnswer, TcSession } from './session.ts';
export {
  type Anchor,
  buildLines,
  changeLine,
  checkPlan,
  kernelRate,
  type NicPlan,
  OUR_ANCHOR,
  removeLines,
  type ShapedClass,
} from './tree.ts';
export { type NicUndo, undoNic } from './undo.ts';
export { wireBytesOfFrames, wireBytesOfPackets, wireBytesOfSegments } from './wire-bytes.ts';

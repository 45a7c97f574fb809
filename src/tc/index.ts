// SPDX-License-Identifier: Apache-2.0
// Traffic control of a NIC, through iproute2: classes with promised rates, classifiers that are proven, everything undone.
// Knows nothing of migration. Public as `slackwater/tc`.

export { type Match, matches, programsOf } from './classifier.ts';
export { TcError, TcTakenError, TcUnsupportedError } from './errors.ts';
export { type ClassStats, findAnchor, type Qdisc, readClasses, readQdiscs } from './inspect.ts';
export { type NamedStats, NicShaper, type NicShaperOptions, type NicUndo, undoNic } from './shaper.ts';
export { inNamespace, type NicAnswer, TcSession } from './session.ts';
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

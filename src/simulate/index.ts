// SPDX-License-Identifier: Apache-2.0
export { type ModelCosts, REFERENCE_COSTS } from './costs.ts';
export { type GuestSource, policyNameOf, simulateRun } from './experiment.ts';
export { modelContext, type ModelSetting } from './context.ts';
export { type GangOrder, rankGangOrders, type RankedOrder, type SimulatedGangVm } from './gang.ts';
export { guestOfCurve, type MemoryPart, pagesByHeatOf, type SimulatedGuest } from './guest.ts';
export { simulateMigration } from './migration.ts';
export type { SimulatedAction, SimulatedRun, SimulationOptions } from './simulation.ts';
export { guestOfPattern, testGuestZeroBytes } from './pattern-guest.ts';
export { profileOf } from './profile.ts';
export {
  continueFrom,
  goOn,
  guestOfRecording,
  type Recording,
  replay,
  type Replay,
  replayUntil,
} from './replay.ts';
export {
  bandOf,
  estimateWays,
  recommendation,
  runThrice,
  type WayEstimate,
  WAYS,
  type WaysInputs,
} from './ways.ts';

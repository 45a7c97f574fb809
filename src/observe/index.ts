// SPDX-License-Identifier: Apache-2.0
export { canSampleDirtyPages, sampleDirtyPages, samplesPerGib } from './dirty-sampler.ts';
export { ActivityReader, type HostFiles } from './guest-activity.ts';
export { PageTracker, withUntaken, type TrackedBlock } from './page-tracker.ts';
export { foldPass, foldReading, initObserve, type ObserveState, type Reading } from './migration-fold.ts';
export { profileGuest, type ProfilerOptions, profileWindows } from './profiler.ts';
export { isFinal, type MigrationInfo, type QueryMigrateReply, readMigrationInfo } from './migration-info.ts';
export {
  foldTraffic,
  NO_TRAFFIC,
  type TrafficReading,
  type TrafficState,
  TrafficTracker,
} from './traffic.ts';

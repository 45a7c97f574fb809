// SPDX-License-Identifier: Apache-2.0
export { attach, type AttachDeps } from './attach.ts';
export { checkMigration, migrate, type MigrateDeps } from './migrate.ts';
export * from './fleet/index.ts';
export { type OfferedFeature, type QemuOffer, readOffer } from './offer.ts';
export { watchGuest } from './profile.ts';
export { cancelMigration, type EndStatus, readStatus, recover, type RecoverOptions } from './operations.ts';
export {
  describeReport,
  restoreAbandoned,
  restoreJournal,
  type RestoreReport,
  restoreUntilDone,
} from './restore.ts';
export {
  type AttachOptions,
  type ControlOptions,
  type MigrateOptions,
  type Mode,
  type Progress,
  type Reporter,
  silentReporter,
} from './types.ts';
export { loadPolicy } from './user-policy.ts';

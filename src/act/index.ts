// SPDX-License-Identifier: Apache-2.0
export { type Guardian, startGuardian } from './guardian.ts';
export { forgetPause, hasPausedGuest, pauseGuest } from './guest-pause.ts';
export {
  abandonedJournals,
  type End,
  Journal,
  type JournalContent,
  journalDirectory,
  JournalError,
  JournalLockedError,
  type QemuInstance,
  readJournal,
  sameInstance,
  startTicksOf,
} from './journal.ts';
export {
  type ForeignChange,
  type RawParameters,
  readCapabilities,
  readParameters,
  SettingNotTakenError,
  Settings,
  toParameterValues,
} from './settings.ts';
export { undoEnd, type UndoReport } from './undo.ts';
export { hasPageLevers, LeversError, PageLevers } from './page-levers.ts';

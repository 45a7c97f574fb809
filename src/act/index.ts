// SPDX-License-Identifier: Apache-2.0
export { type Guardian, startGuardian } from './guardian.ts';
export { forgetPause, hasPausedGuest, pauseGuest } from './guest-pause.ts';
export {
  type End,
  Journal,
  type JournalContent,
  type QemuInstance,
  readJournal,
  sameInstance,
} from './journal.ts';
export {
  abandonedJournals,
  journalDirectory,
  JournalError,
  JournalLockedError,
  startTicksOf,
} from './journal-lock.ts';
export { type HostUndo, isNetworkJournal, NetworkJournal, undoNetwork } from './network-journal.ts';
export {
  type ForeignChange,
  type RawParameters,
  readCapabilities,
  readParameters,
  SettingNotTakenError,
  Settings,
  toParameterValues,
} from './settings.ts';
export { SendQueue, SendQueueError } from './send-queue.ts';
export { undoEnd, type UndoReport } from './undo.ts';
export { hasPageLevers, LeversError, PageLevers } from './page-levers.ts';

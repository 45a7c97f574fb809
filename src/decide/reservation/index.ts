// SPDX-License-Identifier: Apache-2.0
export {
  feedBack,
  growReservation,
  type Reservation,
  type ReservationReading,
  reserve,
  type ReservedState,
  reserveFor,
  sharesOfReservation,
} from './algorithm2.ts';
export { limitWithoutShaping, type RunningMigration, type Share, type Shares, sharesOf } from './shares.ts';

// SPDX-License-Identifier: Apache-2.0
export {
  growReservation,
  type Reservation,
  type ReservationReading,
  reserve,
  sharesOfReservation,
} from './algorithm2.ts';
export { limitWithoutShaping, type RunningMigration, type Share, type Shares, sharesOf } from './shares.ts';

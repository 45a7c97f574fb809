// SPDX-License-Identifier: Apache-2.0
// The results: a row for each 100 ms of the schedule, printed as one line of JSON once all its requests have their end.
#ifndef SLACKWATER_KVLOAD_ROWS_H
#define SLACKWATER_KVLOAD_ROWS_H

#include "kvload.h"

enum result { RESULT_OK, RESULT_ERROR, RESULT_WRONG, RESULT_UNANSWERED };

/* The schedule begins at `start_ns`: request i is due at start + i / rate. */
void rows_start(const struct settings *s, ns_t start_ns);

ns_t rows_due_ns(uint64_t request);

/*
 * A request's end. RESULT_WRONG: an answer, but not the value that must be there. RESULT_UNANSWERED: the generator ended
 * first.
 */
void rows_add(uint64_t request, ns_t ended_ns, enum result result);

/* How much later than it could a request was sent, through this program's own fault. */
void rows_add_own_delay(uint64_t request, ns_t delay_ns);

/* Prints the rows that are complete. */
void rows_print(ns_t at_ns);

/* The end of the schedule: requests from `first` on that were due before `at_ns` were never sent. Prints what is left. */
void rows_finish(uint64_t first, ns_t at_ns);

#endif

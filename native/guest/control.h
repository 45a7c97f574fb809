// SPDX-License-Identifier: Apache-2.0
// The requests that the guest answers: "ID COMMAND [ARGUMENTS]", one JSON object each.
#ifndef SLACKWATER_CONTROL_H
#define SLACKWATER_CONTROL_H

#include "arena.h"
#include "line.h"

/* Answers requests for ever. A request whose id is that of the last one gets the same answer and is not done again. */
void control_run(struct line_port *port, const struct arena *arena);

#endif

// SPDX-License-Identifier: Apache-2.0
// What the guest does for its client besides writing memory: it answers probes and reports the work it gets done. Both
// are threads of the memory writer's process: switching between processes empties an emulated CPU's TLB, and a thousand
// probes a second then cost most of the CPU.
#ifndef SLACKWATER_SERVICES_H
#define SLACKWATER_SERVICES_H

#include <stdbool.h>

/* Answers UDP probes on port 7 from now on. */
bool echo_start(void);

/* Sends datagrams to ADDRESS:BYTES_PER_SEC, the rate on the wire, from now on. */
bool send_start(const char *where);

/* Does work units at nice 10 and reports them every 100 ms to UDP port 7007 of an address in dotted form. */
bool work_start(const char *client_ip);

#endif

// SPDX-License-Identifier: Apache-2.0
// Traffic of the guest's own: datagrams at a constant rate to the discard port of an address. What could not be sent in
// time is not made up for: a guest that was stopped goes on at its rate.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base.h"
#include "services.h"
#include "thread.h"

enum { DISCARD_PORT = 9, PAYLOAD_BYTES = 1472, WIRE_BYTES = 1538, LATE_MS = 20 };

static struct sockaddr_in to = {.sin_family = AF_INET};
static u64 gap_ns;
static int fd;

static void *send_main(void *unused)
{
    static char piece[PAYLOAD_BYTES];
    (void)unused;
    u64 due_ns = now_ns();
    for (;;) {
        u64 at_ns = now_ns();
        if (at_ns > due_ns + LATE_MS * NS_PER_MS)
            due_ns = at_ns;
        while (due_ns <= at_ns) {
            sendto(fd, piece, sizeof piece, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to);
            due_ns += gap_ns;
        }
        u64 wait_ns = due_ns - at_ns;
        /* A few datagrams at a time: waking up costs an emulated CPU more than sending. */
        if (wait_ns < 2 * NS_PER_MS)
            wait_ns = 2 * NS_PER_MS;
        struct timespec wait = {.tv_sec = (time_t)(wait_ns / NS_PER_SEC), .tv_nsec = (long)(wait_ns % NS_PER_SEC)};
        nanosleep(&wait, NULL);
    }
    return NULL;
}

bool send_start(const char *where)
{
    char address[INET_ADDRSTRLEN];
    const char *colon = strchr(where, ':');
    long long rate = colon == NULL ? 0 : atoll(colon + 1);
    size_t length = colon == NULL ? 0 : (size_t)(colon - where);
    if (rate > 0 && length < sizeof address) {
        memcpy(address, where, length);
        address[length] = '\0';
        to.sin_port = htons(DISCARD_PORT);
        gap_ns = (u64)WIRE_BYTES * NS_PER_SEC / (u64)rate;
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && inet_pton(AF_INET, address, &to.sin_addr) == 1)
            return thread_start(send_main);
    }
    fprintf(stderr, "SLACKWATER-ERROR cannot send to %s\n", where);
    return false;
}

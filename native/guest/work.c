// SPDX-License-Identifier: Apache-2.0
// Does units of fixed size with whatever CPU is left (nice 10) and reports every 100 ms of the guest's time how many it
// did: a UDP datagram "work SEQUENCE GUEST_MONOTONIC_MS UNITS".

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base.h"
#include "services.h"
#include "thread.h"

enum { BUFFER_WORDS = 256 * 1024 / 8, INTERVAL_MS = 100, WORK_PORT = 7007, WORK_NICE = 10 };

static u64 buffer[BUFFER_WORDS];
static struct sockaddr_in client = {.sin_family = AF_INET};
static int fd;

/* One unit: a pass over 1/32 of the buffer with some arithmetic, about 6 microseconds on an emulated CPU. */
static u64 do_unit(u64 unit, u64 x)
{
    u64 *part = buffer + (unit % 32) * (BUFFER_WORDS / 32);
    for (int i = 0; i < BUFFER_WORDS / 32; i++) {
        x = (x ^ part[i]) * 0x9e3779b97f4a7c15ull + 1;
        part[i] = x;
    }
    return x;
}

static void *work_main(void *unused)
{
    (void)unused;
    setpriority(PRIO_PROCESS, (id_t)gettid(), WORK_NICE);
    u64 x = 1, unit = 0, reported = 0, sequence = 0;
    u64 due_ns = now_ns() + INTERVAL_MS * NS_PER_MS;
    for (;;) {
        x = do_unit(unit++, x);
        u64 at_ns = now_ns();
        if (at_ns < due_ns)
            continue;
        char text[96];
        int length = snprintf(text, sizeof text, "work %llu %llu %llu", (unsigned long long)sequence++,
                              (unsigned long long)(at_ns / NS_PER_MS), (unsigned long long)(unit - reported));
        sendto(fd, text, (size_t)length, MSG_DONTWAIT, (struct sockaddr *)&client, sizeof client);
        reported = unit;
        /* From now, not from when it was due: an interval is never shorter than 100 ms. */
        due_ns = at_ns + INTERVAL_MS * NS_PER_MS;
    }
    return NULL;
}

bool work_start(const char *client_ip)
{
    client.sin_port = htons(WORK_PORT);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || inet_pton(AF_INET, client_ip, &client.sin_addr) != 1) {
        fprintf(stderr, "SLACKWATER-ERROR cannot send work reports to %s\n", client_ip);
        return false;
    }
    return thread_start(work_main);
}

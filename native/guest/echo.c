// SPDX-License-Identifier: Apache-2.0
// Returns every UDP datagram on port 7 to its sender, unchanged. A real-time thread that touches a handful of pages, so
// that what a probe waits for is the guest and not this program.

#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include "services.h"
#include "thread.h"

enum { ECHO_PORT = 7, ECHO_PRIORITY = 50 };

static int fd;

static void *echo_main(void *unused)
{
    static char payload[1600];
    (void)unused;
    struct sched_param priority = {.sched_priority = ECHO_PRIORITY};
    pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority);
    for (;;) {
        struct sockaddr_in peer;
        socklen_t peer_length = sizeof peer;
        ssize_t length = recvfrom(fd, payload, sizeof payload, 0, (struct sockaddr *)&peer, &peer_length);
        if (length >= 0)
            sendto(fd, payload, (size_t)length, MSG_DONTWAIT, (struct sockaddr *)&peer, peer_length);
    }
    return NULL;
}

bool echo_start(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(ECHO_PORT)};
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof here) != 0) {
        perror("SLACKWATER-ERROR echo");
        return false;
    }
    return thread_start(echo_main);
}

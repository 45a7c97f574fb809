// SPDX-License-Identifier: Apache-2.0
// Starts threads with small stacks: all memory of this process is locked.
#ifndef SLACKWATER_THREAD_H
#define SLACKWATER_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

static inline bool thread_start(void *(*entry)(void *))
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    if (pthread_create(&thread, &attributes, entry, NULL) == 0)
        return true;
    fprintf(stderr, "SLACKWATER-ERROR cannot start a thread\n");
    return false;
}

#endif

// SPDX-License-Identifier: Apache-2.0
// nicwatch: a NIC's counters in even windows. nicwatch -d DEVICE [-w WINDOW_MS]
// Runs until SIGTERM; prints "running" first, at the end one JSON object: "start_ns" (CLOCK_MONOTONIC), "window_ns", and per
// window "sent_bytes", "sent_packets", "received_bytes", "received_packets", as the kernel counts them (before segmentation).

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "report.h"

enum { WINDOWS_MAX = 36000, FIELDS = 4 };

static const char *const FIELD_NAMES[FIELDS] = {"sent_bytes", "sent_packets", "received_bytes", "received_packets"};
static int64_t windows[WINDOWS_MAX][FIELDS];

// Of /proc/net/dev, which is the namespace's own: eight fields received, then eight sent.
static void read_counters(int fd, const char *device, int64_t *into)
{
    static char text[1 << 16];
    size_t length = 0;
    ssize_t got;
    // The kernel gives no more than a page at a time.
    while ((got = pread(fd, text + length, sizeof(text) - 1 - length, (off_t)length)) > 0)
        length += (size_t)got;
    if (got < 0 || length == 0)
        die("/proc/net/dev");
    text[length] = '\0';
    size_t name = strlen(device);
    for (char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += strspn(line, "\n ");
        if (strncmp(line, device, name) != 0 || line[name] != ':')
            continue;
        long long n[10];
        if (sscanf(line + name + 1, "%lld %lld %lld %lld %lld %lld %lld %lld %lld %lld", &n[0], &n[1], &n[2], &n[3],
                   &n[4], &n[5], &n[6], &n[7], &n[8], &n[9]) != 10)
            break;
        into[0] = n[8];
        into[1] = n[9];
        into[2] = n[0];
        into[3] = n[1];
        return;
    }
    fprintf(stderr, "there is no NIC %s\n", device);
    exit(1);
}

int main(int argc, char **argv)
{
    const char *device = NULL;
    int64_t window_ns = 100 * NS_PER_MS;
    int option;
    while ((option = getopt(argc, argv, "d:w:")) != -1) {
        if (option == 'd')
            device = optarg;
        else if (option == 'w')
            window_ns = atoll(optarg) * NS_PER_MS;
        else
            return 2;
    }
    if (device == NULL || window_ns < NS_PER_MS) {
        fprintf(stderr, "usage: nicwatch -d DEVICE [-w WINDOW_MS]\n");
        return 2;
    }
    stop_on_signals();
    int fd = open("/proc/thread-self/net/dev", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        die("/proc/thread-self/net/dev");
    int64_t before[FIELDS], after[FIELDS];
    int64_t start = now_ns();
    int used = 0;
    read_counters(fd, device, before);
    printf("running\n");
    fflush(stdout);
    while (!stop && used < WINDOWS_MAX) {
        int64_t due = start + (used + 1) * window_ns;
        struct timespec until = {.tv_sec = due / NS_PER_SEC, .tv_nsec = due % NS_PER_SEC};
        if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
            continue;
        read_counters(fd, device, after);
        for (int i = 0; i < FIELDS; i++)
            windows[used][i] = after[i] - before[i];
        memcpy(before, after, sizeof(before));
        used++;
    }
    printf("{\"start_ns\":%lld,\"window_ns\":%lld", (long long)start, (long long)window_ns);
    for (int f = 0; f < FIELDS; f++) {
        printf(",\"%s\":[", FIELD_NAMES[f]);
        for (int i = 0; i < used; i++)
            printf("%s%lld", i == 0 ? "" : ",", (long long)windows[i][f]);
        printf("]");
    }
    printf("}\n");
    return 0;
}

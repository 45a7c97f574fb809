// SPDX-License-Identifier: Apache-2.0
// prober: sends a UDP probe every millisecond to a guest's echo port and records when each was answered, by the
// kernel's receive time. Listens for the guest's work reports too. Ends on SIGTERM, SIGINT or after -n seconds with a
// summary on standard output. Its first line of output says that it runs, the second that the guest has answered.
// Usage: prober -t GUEST_IP [-p PORT] [-w WORK_PORT] [-i INTERVAL_US] [-g DISTURBED_MS] [-n SECONDS] [-o FILE]
// FILE: "SWPROBE1", count (u64), realtime offset (i64 ns), then per probe sent and received (i64 ns, 0: lost).

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "prober.h"

#define NS_PER_SEC 1000000000ll
#define PROBE_MAGIC 0x45424f5250575321ull

enum { WORK_REPORTS_MAX = 65536 };

struct payload {
    uint64_t magic;
    uint64_t sequence;
};

static volatile sig_atomic_t stop;
static struct recording run = {.interval_ns = 1000000, .disturbed_over_ns = 5000000};
static uint64_t probes_max;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static ns_t clock_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

static ns_t realtime_offset_ns(void)
{
    ns_t before = clock_ns(CLOCK_MONOTONIC);
    ns_t real = clock_ns(CLOCK_REALTIME);
    return real - (before + clock_ns(CLOCK_MONOTONIC)) / 2;
}

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static int open_socket(int port)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0)
        die("prober: socket");
    if (port != 0 && bind(fd, (struct sockaddr *)&here, sizeof here) != 0)
        die("prober: cannot listen for work reports");
    return fd;
}

/* One datagram and when the kernel received it. */
static ssize_t receive(int fd, void *data, size_t size, ns_t *received_ns)
{
    char control[128];
    struct iovec part = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t length = recvmsg(fd, &message, 0);
    if (length < 0)
        return length;
    *received_ns = clock_ns(CLOCK_MONOTONIC);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(c), sizeof t);
            /* The stamp is CLOCK_REALTIME; the offset of this very moment makes it monotonic. */
            *received_ns = t.tv_sec * NS_PER_SEC + t.tv_nsec - realtime_offset_ns();
        }
    }
    return length;
}

static void say(const char *line)
{
    fputs(line, stdout);
    fflush(stdout);
}

static void take_answers(int fd)
{
    struct payload p;
    ns_t received_ns;
    /* An error (port unreachable while the guest boots) is consumed by the call; the next poll goes on. */
    while (receive(fd, &p, sizeof p, &received_ns) == (ssize_t)sizeof p) {
        if (p.magic != PROBE_MAGIC || p.sequence >= run.sent || run.probes[p.sequence].received_ns != 0)
            continue;
        run.probes[p.sequence].received_ns = received_ns;
        if (run.answered++ == 0)
            say("{\"answering\":true}\n");
    }
}

static void take_work(int fd)
{
    char text[128];
    ns_t received_ns;
    ssize_t length;
    while ((length = receive(fd, text, sizeof text - 1, &received_ns)) >= 0) {
        text[length] = '\0';
        unsigned long long sequence, guest_ms, units;
        if (run.work_count < WORK_REPORTS_MAX && sscanf(text, "work %llu %llu %llu", &sequence, &guest_ms, &units) == 3)
            run.work[run.work_count++] = (struct work_report){received_ns, sequence, guest_ms, units};
    }
}

static void send_probe(int fd, ns_t at_ns)
{
    struct payload p = {PROBE_MAGIC, run.sent};
    run.probes[run.sent++] = (struct probe){.sent_ns = at_ns};
    if (send(fd, &p, sizeof p, 0) < 0)
        run.send_errors++;
}

static void probe_until_stopped(int echo_fd, int work_fd)
{
    struct pollfd sources[2] = {{.fd = echo_fd, .events = POLLIN}, {.fd = work_fd, .events = POLLIN}};
    ns_t due_ns = clock_ns(CLOCK_MONOTONIC);
    while (!stop && run.sent < probes_max) {
        ns_t at_ns = clock_ns(CLOCK_MONOTONIC);
        if (at_ns >= due_ns) {
            send_probe(echo_fd, at_ns);
            /* Late ones are left out rather than sent in a burst: the guest must not see our own delay as load. */
            due_ns += (at_ns - due_ns) / run.interval_ns * run.interval_ns + run.interval_ns;
            continue;
        }
        struct timespec rest = {(due_ns - at_ns) / NS_PER_SEC, (due_ns - at_ns) % NS_PER_SEC};
        if (ppoll(sources, 2, &rest, NULL) > 0) {
            if (sources[0].revents != 0)
                take_answers(echo_fd);
            if (sources[1].revents != 0)
                take_work(work_fd);
        }
    }
    run.stopped_ns = clock_ns(CLOCK_MONOTONIC);
}

static void write_file(const char *path)
{
    FILE *file = fopen(path, "wb");
    uint64_t header[2] = {run.sent, (uint64_t)run.realtime_offset_ns};
    if (file == NULL || fwrite("SWPROBE1", 8, 1, file) != 1 || fwrite(header, sizeof header, 1, file) != 1 ||
        fwrite(run.probes, sizeof *run.probes, run.sent, file) != run.sent || fclose(file) != 0)
        die("prober: cannot write the results file");
}

static void *reserve(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        die("prober: memory");
    return memory;
}

int main(int argc, char **argv)
{
    const char *target = NULL, *path = NULL;
    int echo_port = 7, work_port = 7007, option;
    long seconds = 3600;
    while ((option = getopt(argc, argv, "t:p:w:i:g:n:o:")) != -1) {
        switch (option) {
        case 't': target = optarg; break;
        case 'p': echo_port = atoi(optarg); break;
        case 'w': work_port = atoi(optarg); break;
        case 'i': run.interval_ns = atol(optarg) * 1000; break;
        case 'g': run.disturbed_over_ns = (ns_t)(atof(optarg) * 1e6); break;
        case 'n': seconds = atol(optarg); break;
        case 'o': path = optarg; break;
        default: target = NULL; optind = argc;
        }
    }
    struct sockaddr_in guest = {.sin_family = AF_INET, .sin_port = htons((uint16_t)echo_port)};
    if (target == NULL || inet_pton(AF_INET, target, &guest.sin_addr) != 1 || run.interval_ns <= 0 || seconds <= 0) {
        fprintf(stderr, "usage: prober -t GUEST_IP [-p PORT] [-w WORK_PORT] [-i INTERVAL_US] [-g DISTURBED_MS] [-n SECONDS] [-o FILE]\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_TIMERSLACK, 1);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    int echo_fd = open_socket(0), work_fd = open_socket(work_port);
    if (connect(echo_fd, (struct sockaddr *)&guest, sizeof guest) != 0)
        die("prober: no route to the guest");

    mlockall(MCL_CURRENT); /* before the recording's memory, of which most is never used */
    probes_max = (uint64_t)(seconds * NS_PER_SEC / run.interval_ns);
    run.probes = reserve(probes_max * sizeof *run.probes);
    run.work = reserve(WORK_REPORTS_MAX * sizeof *run.work);
    struct sched_param priority = {.sched_priority = 80};
    run.fifo = sched_setscheduler(0, SCHED_FIFO, &priority) == 0;
    printf("{\"started\":true,\"fifo\":%s}\n", run.fifo ? "true" : "false");
    fflush(stdout);

    ns_t offset_ns = realtime_offset_ns();
    probe_until_stopped(echo_fd, work_fd);
    run.realtime_offset_ns = realtime_offset_ns();
    run.realtime_step_ns = run.realtime_offset_ns - offset_ns;
    /* Evaluating takes long enough to be in the way of others: back to an ordinary priority. */
    sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
    if (path != NULL)
        write_file(path);
    report_print(&run);
    return fflush(stdout) == 0 ? 0 : 1;
}

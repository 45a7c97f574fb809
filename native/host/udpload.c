// SPDX-License-Identifier: Apache-2.0
// udpload: constant-rate UDP that steps up and down, and what of it arrives.
// send: udpload send -t IP -p PORT [-s FRAME_BYTES] -r MS:BYTES_PER_SEC[,MS:BYTES_PER_SEC...]
//   From each moment on (ms since the start) so many bytes a second on the wire: FRAME_BYTES of each datagram, 1538 by
//   default, include headers, checksum, preamble and gap.
// receive: udpload receive -p PORT [-w WINDOW_MS]
// echo: udpload echo -p PORT: answers each datagram with itself, as a service would.
// All run until SIGTERM, with real-time priority where they may: a program that is late would be the bottleneck itself.
// They print one line first ("running"), at the end one JSON object: "start_ns" (CLOCK_MONOTONIC), "window_ns",
// "bytes" (of each window since then, on the wire; of the sender: what it offered, whether the kernel took it or not), "packets".

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "report.h"

enum {
    // Ethernet 14, IP 20, UDP 8, checksum 4, preamble 8, gap 12.
    WIRE_OVERHEAD_BYTES = 66,
    WINDOWS_MAX = 36000,
    STEPS_MAX = 64,
    BATCH = 32,
    DATAGRAM_MAX = 1472,
    // Between two looks at the clock; short against a window, long against a system call.
    TICK_NS = 1000000,
};

struct step {
    int64_t from_ns;
    int64_t bytes_per_sec;
};

static int64_t windows[WINDOWS_MAX];
static int64_t packets;
static int64_t window_ns = 100 * NS_PER_MS;
static int windows_used;

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: udpload send -t IP -p PORT [-s FRAME_BYTES] -r MS:BYTES_PER_SEC[,...]\n"
                    "       udpload receive -p PORT [-w WINDOW_MS]\n"
                    "       udpload echo -p PORT\n");
    exit(2);
}

static void count(int64_t since_ns, int64_t bytes, int64_t frames)
{
    int64_t window = since_ns / window_ns;
    if (window < 0 || window >= WINDOWS_MAX)
        return;
    windows[window] += bytes;
    packets += frames;
    if (window >= windows_used)
        windows_used = (int)window + 1;
}

static void report(int64_t start_ns)
{
    printf("{\"start_ns\":%lld,\"window_ns\":%lld,\"packets\":%lld,\"bytes\":[", (long long)start_ns,
           (long long)window_ns, (long long)packets);
    for (int i = 0; i < windows_used; i++)
        printf("%s%lld", i == 0 ? "" : ",", (long long)windows[i]);
    printf("]}\n");
}

static int read_steps(const char *text, struct step *steps)
{
    int used = 0;
    while (*text != '\0') {
        char *end;
        if (used == STEPS_MAX)
            usage();
        steps[used].from_ns = strtoll(text, &end, 10) * NS_PER_MS;
        if (end == text || *end != ':')
            usage();
        text = end + 1;
        steps[used].bytes_per_sec = strtoll(text, &end, 10);
        if (end == text || (*end != ',' && *end != '\0') || steps[used].bytes_per_sec < 0)
            usage();
        text = *end == ',' ? end + 1 : end;
        used++;
    }
    return used;
}

// Bytes on the wire that should have been sent by then.
static double due_bytes(const struct step *steps, int used, int64_t since_ns)
{
    double sum = 0;
    for (int i = 0; i < used; i++) {
        int64_t to_ns = i + 1 < used && steps[i + 1].from_ns < since_ns ? steps[i + 1].from_ns : since_ns;
        if (to_ns > steps[i].from_ns)
            sum += (double)steps[i].bytes_per_sec * (double)(to_ns - steps[i].from_ns) / NS_PER_SEC;
    }
    return sum;
}

static void run_sender(const char *address, int port, int frame_bytes, const struct step *steps, int used)
{
    static char piece[DATAGRAM_MAX];
    int length = frame_bytes - WIRE_OVERHEAD_BYTES;
    if (length < 1 || length > DATAGRAM_MAX)
        usage();
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
        usage();
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    // What a queue on the way cannot hold is dropped there, as a VM's own would be; a short buffer here would slow the offer.
    int buffer = 8 << 20;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
    struct iovec iov = {.iov_base = piece, .iov_len = (size_t)length};
    struct mmsghdr batch[BATCH];
    memset(batch, 0, sizeof(batch));
    for (int i = 0; i < BATCH; i++)
        batch[i].msg_hdr = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1};
    int64_t start = now_ns();
    double sent = 0, offered = 0;
    printf("running\n");
    fflush(stdout);
    while (!stop) {
        int64_t since = now_ns() - start;
        double due = due_bytes(steps, used, since);
        count(since, (int64_t)(due - offered), 0);
        offered += (double)(int64_t)(due - offered);
        // What could not be sent in time is offered again, but not more than a window of it: the offer is a rate.
        double most = due_bytes(steps, used, since) - due_bytes(steps, used, since > window_ns ? since - window_ns : 0);
        if (due - sent > most)
            sent = due - most;
        while (!stop && due - sent >= frame_bytes) {
            int wanted = (int)((due - sent) / frame_bytes);
            int got = sendmmsg(fd, batch, (unsigned)(wanted < BATCH ? wanted : BATCH), MSG_DONTWAIT);
            if (got <= 0) {
                // What cannot be sent now is lost, as on the way: a guest that moves answers nobody for a moment.
                if (got < 0 && errno == EBADF)
                    die("sendmmsg");
                break;
            }
            sent += (double)got * frame_bytes;
            packets += got;
        }
        struct timespec tick = {.tv_nsec = TICK_NS};
        nanosleep(&tick, NULL);
    }
    report(start);
}

static int open_port(int port)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int buffer = 8 << 20;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
    if (bind(fd, (struct sockaddr *)&own, sizeof(own)) < 0)
        die("bind");
    return fd;
}

static void run_echo(int port)
{
    static char piece[2048];
    int fd = open_port(port);
    int64_t start = now_ns();
    printf("running\n");
    fflush(stdout);
    while (!stop) {
        struct pollfd waits = {.fd = fd, .events = POLLIN};
        struct sockaddr_in from;
        socklen_t length = sizeof(from);
        if (poll(&waits, 1, 100) <= 0)
            continue;
        ssize_t got = recvfrom(fd, piece, sizeof(piece), MSG_DONTWAIT, (struct sockaddr *)&from, &length);
        if (got < 0)
            continue;
        sendto(fd, piece, (size_t)got, MSG_DONTWAIT, (struct sockaddr *)&from, length);
        count(now_ns() - start, got + WIRE_OVERHEAD_BYTES, 1);
    }
    report(start);
}

static void run_receiver(int port)
{
    static char pieces[BATCH][2048];
    int fd = open_port(port);
    struct mmsghdr batch[BATCH];
    struct iovec iov[BATCH];
    memset(batch, 0, sizeof(batch));
    for (int i = 0; i < BATCH; i++) {
        iov[i] = (struct iovec){.iov_base = pieces[i], .iov_len = sizeof(pieces[i])};
        batch[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    }
    int64_t start = now_ns();
    printf("running\n");
    fflush(stdout);
    while (!stop) {
        struct pollfd waits = {.fd = fd, .events = POLLIN};
        if (poll(&waits, 1, 100) <= 0)
            continue;
        int got = recvmmsg(fd, batch, BATCH, MSG_DONTWAIT, NULL);
        int64_t since = now_ns() - start;
        for (int i = 0; i < got; i++)
            count(since, (int64_t)batch[i].msg_len + WIRE_OVERHEAD_BYTES, 1);
    }
    report(start);
}

int main(int argc, char **argv)
{
    const char *address = NULL;
    struct step steps[STEPS_MAX];
    int port = 0, frame_bytes = 1538, used = 0, option;
    if (argc < 2)
        usage();
    const char *what = argv[1];
    optind = 2;
    while ((option = getopt(argc, argv, "t:p:s:r:w:")) != -1) {
        switch (option) {
        case 't': address = optarg; break;
        case 'p': port = atoi(optarg); break;
        case 's': frame_bytes = atoi(optarg); break;
        case 'r': used = read_steps(optarg, steps); break;
        case 'w': window_ns = atoll(optarg) * NS_PER_MS; break;
        default: usage();
        }
    }
    if (port < 1 || port > 65535 || window_ns < NS_PER_MS)
        usage();
    stop_on_signals();
    struct sched_param priority = {.sched_priority = 1};
    sched_setscheduler(0, SCHED_FIFO, &priority);
    if (strcmp(what, "send") == 0 && address != NULL && used > 0)
        run_sender(address, port, frame_bytes, steps, used);
    else if (strcmp(what, "receive") == 0)
        run_receiver(port);
    else if (strcmp(what, "echo") == 0)
        run_echo(port);
    else
        usage();
    return 0;
}

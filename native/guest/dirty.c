// SPDX-License-Identifier: Apache-2.0
// dirty: fills nearly all free memory, then writes a given pattern into it until told otherwise over a serial port.
// Usage: dirty [-p PATTERN] [-s SEED] [-r RESERVE_MIB] [-m ARENA_MIB_MAX] [-d DISK] [-b BLOCKS_PER_SEC] [-c PORT]
//              [-e: answer UDP probes] [-w CLIENT_IP: do work and report it] [-t IP:BYTES_PER_SEC: send datagrams]
//              [-a APPLICATION: run /apps/APPLICATION]

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include "app.h"
#include "control.h"
#include "disk.h"
#include "services.h"
#include "writer.h"

#define MIB (1024ull * 1024)

static void end(const char *why)
{
    fprintf(stderr, "SLACKWATER-ERROR %s\n", why);
    exit(1);
}

int main(int argc, char **argv)
{
    const char *spec = "idle", *disk = "/dev/vda", *port_path = "/dev/ttyS1", *client_ip = NULL, *sends = NULL, *app = NULL;
    u64 seed = 1, reserve_bytes = 28 * MIB, arena_bytes_max = UINT64_MAX;
    u32 blocks_per_sec = 0;
    bool with_echo = false;
    int option;
    while ((option = getopt(argc, argv, "p:s:r:m:d:b:c:ew:t:a:")) != -1) {
        switch (option) {
        case 'p': spec = optarg; break;
        case 's': seed = strtoull(optarg, NULL, 10); break;
        case 'r': reserve_bytes = strtoull(optarg, NULL, 10) * MIB; break;
        case 'm': arena_bytes_max = strtoull(optarg, NULL, 10) * MIB; break;
        case 'd': disk = optarg; break;
        case 'b': blocks_per_sec = (u32)strtoul(optarg, NULL, 10); break;
        case 'c': port_path = optarg; break;
        case 'e': with_echo = true; break;
        case 'w': client_ip = optarg; break;
        case 't': sends = optarg; break;
        case 'a': app = optarg; break;
        default: end("unknown option, see the head of dirty.c");
        }

    }
    static struct line_port port;
    if (!line_open(&port, port_path))
        end("cannot open the control port");
    if (with_echo && !echo_start())
        return 1;
    if (!disk_start(disk, seed, blocks_per_sec))
        return 1;
    writer_reserve(memory_total_bytes() / PAGE_BYTES);
    /* What exists now stays resident; the arena locks itself once it is filled. */
    if (mlockall(MCL_CURRENT) != 0)
        perror("mlockall");

    static struct arena arena;
    arena_create(&arena, seed, reserve_bytes, arena_bytes_max);
    static struct pattern pattern;
    static char error[160];
    if (!pattern_parse(&pattern, spec, arena.pages, seed, error, sizeof error))
        end(error);
    writer_start(&arena, &pattern);
    /* Only now: neither application nor work may slow the filling. */
    if (app != NULL && !app_start(app))
        return 1;
    if (client_ip != NULL && !work_start(client_ip))
        return 1;
    if (sends != NULL && !send_start(sends))
        return 1;
    /* Answering requests comes before writing. Threads inherit the value from who starts them, so it is set last. */
    setpriority(PRIO_PROCESS, 0, -5);
    fprintf(stderr, "SLACKWATER-READY arenaBytes=%llu uptimeMs=%llu\n", (unsigned long long)(arena.pages * PAGE_BYTES),
            (unsigned long long)(now_ns() / NS_PER_MS));
    control_run(&port, &arena);
}

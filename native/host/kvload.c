// SPDX-License-Identifier: Apache-2.0
// kvload: loads records into redis or memcached, then reads and updates them at a stated rate, as YCSB does, until SIGTERM,
// SIGINT or -n seconds. Each request has a time at which it is due, and latency counts from there. All values read are
// checked. Prints lines of JSON: started, loaded, and a row for each 100 ms.
// Usage: kvload -P redis|memcached -t SERVER_IP -p PORT -r REQUESTS_PER_SEC -k RECORDS [-c CONNECTIONS] [-v VALUE_BYTES]
//               [-m READ_RATIO] [-z ZIPF_EXPONENT] [-s SEED] [-n SECONDS]

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "kvload-phases.h"

enum { CONNECTIONS_MAX = 256, VALUE_BYTES_MAX = 65536, PRIORITY = 70 };

volatile sig_atomic_t kv_stop;

static void on_signal(int number)
{
    (void)number;
    kv_stop = 1;
}

void kv_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("kvload: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static bool read_options(int argc, char **argv, struct settings *s)
{
    int option;
    bool ok = true, has_protocol = false;
    while (ok && (option = getopt(argc, argv, "P:t:p:r:k:c:v:m:z:s:n:")) != -1) {
        switch (option) {
        case 'P':
            has_protocol = strcmp(optarg, "redis") == 0 || strcmp(optarg, "memcached") == 0;
            s->protocol = optarg[0] == 'm' ? PROTOCOL_MEMCACHED : PROTOCOL_REDIS;
            break;
        case 't': ok = inet_pton(AF_INET, optarg, &s->server.sin_addr) == 1; break;
        case 'p': s->server.sin_port = htons((uint16_t)atoi(optarg)); break;
        case 'r': s->rate_per_sec = strtoull(optarg, NULL, 10); break;
        case 'k': s->records = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'c': s->connections = atoi(optarg); break;
        case 'v': s->value_bytes = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'm': s->read_ratio = atof(optarg); break;
        case 'z': s->zipf = atof(optarg); break;
        case 's': s->seed = strtoull(optarg, NULL, 10); break;
        case 'n': s->seconds_max = atol(optarg); break;
        default: ok = false;
        }
    }
    return ok && has_protocol && s->server.sin_port != 0 && s->server.sin_addr.s_addr != 0 && s->rate_per_sec > 0 &&
           s->rate_per_sec <= 1000000 && s->records >= 2 && s->connections >= 1 && s->connections <= CONNECTIONS_MAX &&
           s->value_bytes >= 8 && s->value_bytes <= VALUE_BYTES_MAX && s->read_ratio >= 0 && s->read_ratio <= 1 &&
           s->zipf >= 0 && s->zipf < 1 && s->seconds_max > 0;
}

int main(int argc, char **argv)
{
    static struct settings s = {
        .server = {.sin_family = AF_INET},
        .connections = 8,
        .value_bytes = 1000,
        .read_ratio = 0.5,
        .zipf = 0.99,
        .seed = 1,
        .seconds_max = 3600,
    };
    if (!read_options(argc, argv, &s)) {
        fprintf(stderr, "usage: kvload -P redis|memcached -t SERVER_IP -p PORT -r REQUESTS_PER_SEC -k RECORDS\n"
                        "              [-c CONNECTIONS] [-v VALUE_BYTES] [-m READ_RATIO] [-z ZIPF_EXPONENT_BELOW_1]\n"
                        "              [-s SEED] [-n SECONDS]\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_TIMERSLACK, 1);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);

    static struct connection connections[CONNECTIONS_MAX];
    records_start(&s);
    for (int i = 0; i < s.connections; i++)
        connection_create(&connections[i], &s, LOAD_BATCH);
    load_records(connections, &s);
    if (kv_stop)
        return 0;
    /* From here on a late request is a wrong figure; loading has all the time in the world. */
    struct sched_param priority = {.sched_priority = PRIORITY};
    bool fifo = sched_setscheduler(0, SCHED_FIFO, &priority) == 0;
    printf("{\"started\":true,\"fifo\":%s}\n", fifo ? "true" : "false");
    fflush(stdout);
    run_requests(connections, &s);
    return ferror(stdout) ? 1 : 0;
}

// SPDX-License-Identifier: Apache-2.0
// nonzero-pages PID SIZE_BYTES: how many pages of a QEMU process's guest memory hold anything but zeros. The guest's
// memory is the process's writable mapping of exactly that size. Pages that were never touched are not read.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, BATCH_PAGES = 512 };

#define PRESENT_OR_SWAPPED (3ull << 62)

static uint64_t find_mapping(long pid, uint64_t size)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%ld/maps", pid);
    FILE *maps = fopen(path, "r");
    if (maps == NULL) {
        perror(path);
        exit(1);
    }
    uint64_t found = 0;
    int count = 0;
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long long start, end;
        char mode[8];
        if (sscanf(line, "%llx-%llx %7s", &start, &end, mode) == 3 && end - start == size && mode[1] == 'w') {
            found = start;
            count++;
        }
    }
    fclose(maps);
    if (count != 1) {
        fprintf(stderr, "nonzero-pages: wanted one writable mapping of %llu bytes in process %ld, got %d\n",
                (unsigned long long)size, pid, count);
        exit(1);
    }
    return found;
}

static bool is_nonzero(const unsigned char *page)
{
    const uint64_t *words = (const uint64_t *)page;
    for (int i = 0; i < PAGE_BYTES / 8; i += 8)
        if (words[i] | words[i + 1] | words[i + 2] | words[i + 3] | words[i + 4] | words[i + 5] | words[i + 6] | words[i + 7])
            return true;
    return false;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: nonzero-pages PID SIZE_BYTES\n");
        return 2;
    }
    static unsigned char data[BATCH_PAGES * PAGE_BYTES] __attribute__((aligned(64)));
    static uint64_t entries[BATCH_PAGES];
    long pid = atol(argv[1]);
    uint64_t pages = strtoull(argv[2], NULL, 10) / PAGE_BYTES, nonzero = 0, present = 0;
    uint64_t base = find_mapping(pid, pages * PAGE_BYTES);
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/pagemap", pid);
    int pagemap = open(path, O_RDONLY);
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (uint64_t first = 0; first < pages; first += BATCH_PAGES) {
        uint64_t count = pages - first < BATCH_PAGES ? pages - first : BATCH_PAGES;
        uint64_t address = base + first * PAGE_BYTES;
        if (pread(pagemap, entries, count * 8, (off_t)(address / PAGE_BYTES * 8)) != (ssize_t)(count * 8)) {
            perror(path);
            return 1;
        }
        /* Runs of present pages are read at once; reading an absent one would make the kernel allocate it. */
        for (uint64_t i = 0; i < count;) {
            uint64_t from = i;
            while (i < count && (entries[i] & PRESENT_OR_SWAPPED) != 0)
                i++;
            if (i == from) {
                i++;
                continue;
            }
            size_t bytes = (size_t)(i - from) * PAGE_BYTES;
            struct iovec here = {data, bytes}, there = {(void *)(uintptr_t)(address + from * PAGE_BYTES), bytes};
            if (process_vm_readv(pid, &here, 1, &there, 1, 0) != (ssize_t)bytes) {
                perror("nonzero-pages: cannot read the guest's memory");
                return 1;
            }
            present += i - from;
            for (size_t at = 0; at < bytes; at += PAGE_BYTES)
                nonzero += is_nonzero(data + at);
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double took_ms = (double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) / 1e6;
    printf("{\"pagesTotal\":%llu,\"pagesPresent\":%llu,\"pagesNonzero\":%llu,\"tookMs\":%.1f}\n", (unsigned long long)pages,
           (unsigned long long)present, (unsigned long long)nonzero, took_ms);
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Allocates and fills the arena. It stops early rather than press the guest into running out of memory.

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "arena.h"
#include "page.h"

enum { CHUNK_PAGES = 4096, HUGE_PAGES = 512 };

static u64 meminfo_bytes(const char *key)
{
    static char text[4096];
    int fd = open("/proc/meminfo", O_RDONLY);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    const char *line = strstr(text, key);
    return line == NULL ? 0 : strtoull(line + strlen(key), NULL, 10) * 1024;
}

u64 memory_total_bytes(void)
{
    return meminfo_bytes("MemTotal:");
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

void arena_create(struct arena *out, u64 seed, u64 reserve_bytes, u64 bytes_max)
{
    u64 available = meminfo_bytes("MemAvailable:");
    if (available < reserve_bytes + HUGE_PAGES * PAGE_BYTES * 2ull) {
        fprintf(stderr, "SLACKWATER-ERROR %llu bytes of memory available, the reserve alone is %llu\n",
                (unsigned long long)available, (unsigned long long)reserve_bytes);
        exit(1);
    }
    u64 huge_bytes = (u64)HUGE_PAGES * PAGE_BYTES;
    u64 bytes = available - reserve_bytes < bytes_max ? available - reserve_bytes : bytes_max;
    bytes = bytes / huge_bytes * huge_bytes;
    /* One huge page more, so that the arena can begin on a huge page: 512 times fewer page faults while filling. */
    char *base = mmap(NULL, bytes + huge_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        die("SLACKWATER-ERROR mmap of the arena");
    char *start = (char *)(((uintptr_t)base + huge_bytes - 1) / huge_bytes * huge_bytes);
    madvise(start, bytes, MADV_HUGEPAGE);

    *out = (struct arena){.words = (u64 *)start, .seed = seed};
    u64 wanted_pages = bytes / PAGE_BYTES;
    while (out->pages < wanted_pages) {
        u64 end = out->pages + CHUNK_PAGES < wanted_pages ? out->pages + CHUNK_PAGES : wanted_pages;
        for (u64 page = out->pages; page < end; page++) {
            u64 *words = arena_page(out, page);
            words[0] = 0;
            page_fill(words, seed, page, 0);
        }
        out->pages = end;
        /* The kernel itself grew meanwhile: leave it what was promised, give or take one chunk. */
        if (meminfo_bytes("MemAvailable:") < reserve_bytes * 3 / 4)
            break;
    }
    if (out->pages < wanted_pages)
        munmap(arena_page(out, out->pages), (wanted_pages - out->pages) * PAGE_BYTES);
    if (mlock(start, out->pages * PAGE_BYTES) != 0)
        die("SLACKWATER-ERROR mlock of the arena");
}

u64 guest_physical(const void *address)
{
    u64 entry = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY);
    if (fd < 0)
        return 0;
    uintptr_t at = (uintptr_t)address;
    ssize_t got = pread(fd, &entry, sizeof entry, (off_t)(at / PAGE_BYTES * sizeof entry));
    close(fd);
    if (got != sizeof entry || (entry >> 63) == 0)
        return 0;
    return (entry & ((1ull << 55) - 1)) * PAGE_BYTES + at % PAGE_BYTES;
}

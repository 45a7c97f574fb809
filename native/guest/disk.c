// SPDX-License-Identifier: Apache-2.0
// The disk writer: 4 KiB blocks round-robin with O_DIRECT|O_DSYNC, each with its own number, sequence and checksum. A
// block's expected sequence is raised only after the device acknowledged the write.

#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "disk.h"
#include "page.h"
#include "thread.h"

#define BLOCK_MAGIC 0x31304b4c424b4c53ull /* "SLKBLK01" */

enum { BATCH_BLOCKS = 64 };

struct block {
    u64 magic;
    u64 seed;
    u64 index;
    u64 sequence;
    u64 content[PAGE_WORDS - 5];
    u64 checksum;
};

_Static_assert(sizeof(struct block) == PAGE_BYTES, "a block is a page");

static int fd = -1;
static u64 disk_seed;
static u32 rate_per_sec;
static u64 block_count;
static u32 acknowledged[DISK_BLOCKS_MAX];
static struct block *buffer; /* BATCH_BLOCKS blocks, aligned for O_DIRECT */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool paused;
static _Atomic u64 writes, errors;

static u64 checksum(const struct block *b)
{
    const u64 *words = (const u64 *)b;
    u64 sum = 0;
    for (int i = 0; i < PAGE_WORDS - 1; i++)
        sum = (sum ^ words[i]) * PAGE_MULTIPLIER + 1;
    return sum;
}

static void make_block(struct block *b, u64 index, u64 sequence)
{
    page_fill((u64 *)b, disk_seed, index | 1ull << 63, sequence);
    b->magic = BLOCK_MAGIC;
    b->seed = disk_seed;
    b->index = index;
    b->sequence = sequence;
    b->checksum = checksum(b);
}

static void *disk_main(void *unused)
{
    (void)unused;
    u64 next = 0;
    u64 due_ns = now_ns();
    for (;;) {
        due_ns += NS_PER_SEC / rate_per_sec;
        u64 at_ns = now_ns();
        if (due_ns > at_ns) {
            struct timespec rest = {(time_t)((due_ns - at_ns) / NS_PER_SEC), (long)((due_ns - at_ns) % NS_PER_SEC)};
            nanosleep(&rest, NULL);
        } else if (at_ns - due_ns > NS_PER_SEC / 10) {
            due_ns = at_ns; /* never catch up in a burst */
        }
        pthread_mutex_lock(&lock);
        if (!paused) {
            u32 sequence = acknowledged[next] + 1;
            make_block(buffer, next, sequence);
            if (pwrite(fd, buffer, PAGE_BYTES, (off_t)(next * PAGE_BYTES)) == PAGE_BYTES) {
                acknowledged[next] = sequence;
                writes++;
            } else {
                errors++;
            }
            next = (next + 1) % block_count;
        }
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static bool format(void)
{
    for (u64 first = 0; first < block_count; first += BATCH_BLOCKS) {
        u64 count = block_count - first < BATCH_BLOCKS ? block_count - first : BATCH_BLOCKS;
        for (u64 i = 0; i < count; i++)
            make_block(&buffer[i], first + i, 1);
        if (pwrite(fd, buffer, count * PAGE_BYTES, (off_t)(first * PAGE_BYTES)) != (ssize_t)(count * PAGE_BYTES))
            return false;
        for (u64 i = 0; i < count; i++)
            acknowledged[first + i] = 1;
    }
    return fsync(fd) == 0;
}

bool disk_start(const char *path, u64 seed, u32 blocks_per_sec)
{
    if (blocks_per_sec == 0)
        return true;
    disk_seed = seed;
    rate_per_sec = blocks_per_sec;
    buffer = mmap(NULL, sizeof *buffer * BATCH_BLOCKS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    /* The first pass without O_DSYNC: one flush at its end instead of one for each write. */
    fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    off_t bytes = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (buffer == MAP_FAILED || bytes < PAGE_BYTES) {
        fprintf(stderr, "SLACKWATER-ERROR no disk of at least one block at %s\n", path);
        return false;
    }
    block_count = (u64)bytes / PAGE_BYTES < DISK_BLOCKS_MAX ? (u64)bytes / PAGE_BYTES : DISK_BLOCKS_MAX;
    bool formatted = format();
    close(fd);
    fd = open(path, O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC);
    if (!formatted || fd < 0) {
        perror("SLACKWATER-ERROR first pass over the disk");
        return false;
    }
    return thread_start(disk_main);
}

void disk_pause(void)
{
    pthread_mutex_lock(&lock); /* held by the writer from issue to acknowledgement */
    paused = true;
    pthread_mutex_unlock(&lock);
}

void disk_resume(void)
{
    pthread_mutex_lock(&lock);
    paused = false;
    pthread_mutex_unlock(&lock);
}

void disk_flush(void)
{
    if (fd >= 0 && fsync(fd) != 0)
        errors++;
}

u64 disk_writes(void)
{
    return writes;
}

u64 disk_errors(void)
{
    return errors;
}

static const char *check_block(const struct block *b, u64 index)
{
    u64 expected = acknowledged[index];
    if (b->magic != BLOCK_MAGIC || b->seed != disk_seed || b->index != index || b->checksum != checksum(b))
        return "torn";
    if (b->sequence < expected)
        return "stale";
    /* A write that failed towards us may still have reached the disk: one ahead of the acknowledged is no loss. */
    return b->sequence > expected && errors == 0 ? "newer" : NULL;
}

void disk_verify(struct disk_report *out)
{
    *out = (struct disk_report){.blocks = block_count};
    for (u64 first = 0; first < block_count; first += BATCH_BLOCKS) {
        u64 count = block_count - first < BATCH_BLOCKS ? block_count - first : BATCH_BLOCKS;
        ssize_t wanted = (ssize_t)(count * PAGE_BYTES);
        bool readable = pread(fd, buffer, (size_t)wanted, (off_t)(first * PAGE_BYTES)) == wanted;
        for (u64 i = 0; i < count; i++) {
            const char *kind = readable ? check_block(&buffer[i], first + i) : "unreadable";
            if (kind == NULL)
                continue;
            out->bad_blocks++;
            if (out->reported < DISK_BAD_REPORTED)
                out->bad[out->reported++] = (struct bad_block){
                    .block = first + i,
                    .kind = kind,
                    .expected_sequence = acknowledged[first + i],
                    .got_sequence = readable ? (u32)buffer[i].sequence : 0,
                };
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Writes sequence-numbered blocks to the virtual disk and knows which sequence number each block must hold.
#ifndef SLACKWATER_DISK_H
#define SLACKWATER_DISK_H

#include <stdbool.h>
#include "base.h"

enum { DISK_BLOCKS_MAX = 4096, DISK_BAD_REPORTED = 4 };

struct bad_block {
    u64 block;
    const char *kind; /* "stale", "newer", "torn", "unreadable" */
    u32 expected_sequence;
    u32 got_sequence;
};

struct disk_report {
    u64 blocks;
    u64 bad_blocks;
    int reported;
    struct bad_block bad[DISK_BAD_REPORTED];
};

/* Writes every block once, then starts the thread. 0 blocks per second: no disk is used. False: the disk cannot be used. */
bool disk_start(const char *path, u64 seed, u32 blocks_per_sec);

/* Returns once the last write was acknowledged by the device. */
void disk_pause(void);
void disk_resume(void);
void disk_flush(void);

u64 disk_writes(void);
u64 disk_errors(void);

/* Reads all blocks back past the page cache. Only while paused. */
void disk_verify(struct disk_report *out);

#endif

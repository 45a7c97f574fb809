// SPDX-License-Identifier: Apache-2.0
// warm-memory BYTES: touches that much memory and gives it back, so that it is free in the kernel and present in the machine.
// A virtual machine may hand long-free memory back to its host (free page reporting, ballooning); the next touch of such a
// page then costs tens of microseconds, which a migration's destination would pay for each page that arrives.

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
    char *end = NULL;
    size_t bytes = argc == 2 ? strtoull(argv[1], &end, 10) : 0;
    if (bytes == 0 || *end != '\0') {
        fprintf(stderr, "usage: warm-memory BYTES\n");
        return 2;
    }
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("warm-memory");
        return 1;
    }
    // Huge pages are what the destination's memory is made of, and what is handed back.
    madvise(memory, bytes, MADV_HUGEPAGE);
    for (size_t at = 0; at < bytes; at += 4096) {
        ((volatile char *)memory)[at] = 1;
    }
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
// The writer: keeps to the pattern's rate in steps of about a millisecond and gives up time beyond 100 ms of debt, so
// that a guest that stood still does not catch up in one burst. Every write increments the counter found in memory:
// a lost page is never healed by the next write.

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "page.h"
#include "thread.h"
#include "writer.h"

enum { HISTORY_MAX = 64, CHECK_EVERY = 64 };
#define DEBT_MAX_NS (100 * NS_PER_MS)

/* Every pattern of this life with the steps done under it: together they say how often each page was written. */
static struct {
    struct pattern pattern;
    u64 steps;
} history[HISTORY_MAX];
static int history_count;

static const struct arena *arena;
static struct visit_counts counts;
static u64 counts_bytes;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static atomic_bool pause_wanted;
static bool paused;
static u64 virtual_ns; /* time of the present pattern, without pauses and given-up debt */
static _Atomic u64 recent_rate;
static _Atomic u64 shed_ns;

static void write_page(u64 page, u64 version_step, bool whole)
{
    volatile u64 *words = arena_page(arena, page);
    u64 version = words[0] + version_step;
    words[0] = version;
    if (whole)
        page_fill((u64 *)words, arena->seed, page, version);
}

static u64 read_page(u64 page)
{
    const volatile u64 *words = arena_page(arena, page);
    u64 sum = 0;
    for (int i = 0; i < PAGE_WORDS; i++)
        sum += words[i];
    return sum;
}

/* Does up to CHECK_EVERY steps and returns how many. */
static u64 do_steps(const struct pattern *p, u64 step, u64 wanted)
{
    u64 segment_step, left;
    const struct segment *s = pattern_locate(p, step, &segment_step, &left);
    u64 take = wanted < CHECK_EVERY ? wanted : CHECK_EVERY;
    take = left < take ? left : take;
    for (u64 i = 0; i < take; i++) {
        bool writes;
        u64 page = segment_page(s, segment_step + i, arena->pages, &writes);
        if (writes)
            write_page(page, 1, s->whole_page);
        else
            read_page(page);
    }
    return take;
}

static void wait_while_paused(void)
{
    pthread_mutex_lock(&lock);
    while (pause_wanted) {
        paused = true;
        pthread_cond_broadcast(&changed);
        pthread_cond_wait(&changed, &lock);
    }
    paused = false;
    pthread_mutex_unlock(&lock);
}

static void *writer_main(void *unused)
{
    (void)unused;
    u64 last_ns = now_ns();
    u64 window_ns = last_ns, window_steps = 0;
    for (;;) {
        if (pause_wanted) {
            wait_while_paused();
            last_ns = window_ns = now_ns();
            window_steps = 0;
        }
        const struct pattern *p = &history[history_count - 1].pattern;
        u64 *done = &history[history_count - 1].steps;
        u64 at_ns = now_ns();
        virtual_ns += at_ns - last_ns;
        last_ns = at_ns;
        u64 target = pattern_steps_at(p, virtual_ns);
        while (*done < target && !pause_wanted) {
            u64 taken = do_steps(p, *done, target - *done);
            *done += taken;
            window_steps += taken;
        }
        at_ns = now_ns();
        if (at_ns - window_ns >= NS_PER_SEC) {
            recent_rate = (u64)((u128)window_steps * PAGE_BYTES * NS_PER_SEC / (at_ns - window_ns));
            window_ns = at_ns;
            window_steps = 0;
        }
        u64 lag_to_ns = virtual_ns + (at_ns - last_ns);
        if (pattern_steps_at(p, lag_to_ns) > *done) {
            u64 due_ns = pattern_due_ns(p, *done);
            if (lag_to_ns > due_ns + DEBT_MAX_NS) {
                shed_ns += lag_to_ns - due_ns - DEBT_MAX_NS;
                virtual_ns = due_ns + DEBT_MAX_NS;
                last_ns = at_ns;
            }
        }
        struct timespec rest = {0, NS_PER_MS};
        if (at_ns - last_ns < NS_PER_MS)
            nanosleep(&rest, NULL);
    }
    return NULL;
}

void writer_reserve(u64 pages_max)
{
    counts_bytes = pages_max * sizeof(u32);
    u32 *both = mmap(NULL, counts_bytes * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (both == MAP_FAILED) {
        perror("SLACKWATER-ERROR mmap of the visit counts");
        exit(1);
    }
    counts.version = both;
    counts.content_version = both + pages_max;
}

void writer_start(const struct arena *with_arena, const struct pattern *pattern)
{
    arena = with_arena;
    history[0].pattern = *pattern;
    history_count = 1;
    if (!thread_start(writer_main))
        exit(1);
}

void writer_pause(void)
{
    pthread_mutex_lock(&lock);
    pause_wanted = true;
    while (!paused)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

void writer_resume(void)
{
    pthread_mutex_lock(&lock);
    pause_wanted = false;
    /* `paused` is cleared here and not by the woken thread: a pause that follows at once must wait for it. */
    paused = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

bool writer_switch(const struct pattern *pattern)
{
    bool was_paused = pause_wanted;
    writer_pause();
    bool room = history_count < HISTORY_MAX;
    if (room) {
        history[history_count].pattern = *pattern;
        history[history_count].steps = 0;
        history_count++;
        virtual_ns = 0;
    }
    if (!was_paused)
        writer_resume();
    return room;
}

void writer_get_status(struct writer_status *out)
{
    pthread_mutex_lock(&lock);
    *out = (struct writer_status){.paused = pause_wanted, .rate_bytes_per_sec = recent_rate};
    for (int i = 0; i < history_count; i++)
        out->steps += history[i].steps;
    out->shed_ms = shed_ns / NS_PER_MS;
    out->spec = history[history_count - 1].pattern.spec;
    pthread_mutex_unlock(&lock);
}

static void replay_history(void)
{
    for (u64 i = 0; i < arena->pages; i++)
        counts.version[i] = counts.content_version[i] = 0;
    for (int i = 0; i < history_count; i++)
        pattern_replay(&history[i].pattern, history[i].steps, &counts);
}

static void describe(u64 page, struct bad_page *out)
{
    const u64 *words = arena_page(arena, page);
    *out = (struct bad_page){
        .page = page,
        .physical = guest_physical(words),
        .hot = counts.version[page] > 0,
        .expected_version = counts.version[page],
        .got_version = words[0],
    };
}

void writer_verify(struct verify_report *out)
{
    *out = (struct verify_report){0};
    replay_history();
    for (u64 page = 0; page < arena->pages; page++) {
        u64 version = counts.version[page];
        int first_word = 0;
        int words = page_check(arena_page(arena, page), arena->seed, page, version, counts.content_version[page], &first_word);
        if (version > 0)
            out->hot_pages++;
        else
            out->cold_pages++;
        if (words == 0)
            continue;
        out->bad_pages++;
        if (out->reported < BAD_PAGES_REPORTED) {
            struct bad_page *bad = &out->bad[out->reported++];
            describe(page, bad);
            bad->first_word = first_word;
            bad->words = words;
        }
    }
}

bool writer_where(bool hot, u64 n, struct bad_page *out)
{
    replay_history();
    for (u64 page = 0; page < arena->pages; page++) {
        if ((counts.version[page] > 0) == hot && n-- == 0) {
            describe(page, out);
            return true;
        }
    }
    return false;
}

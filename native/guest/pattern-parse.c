// SPDX-License-Identifier: Apache-2.0
// Reads pattern specifications such as "steady:set=64M,rate=200M" or "phases:steady:set=8M,rate=50M,for=2s/idle:for=1s".
// Names and numbers are those of testbed/guest/pattern.ts, which writes them.

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pattern.h"

struct reader {
    char *error;
    size_t error_size;
    double on_ms;
    double off_ms;
};

__attribute__((format(printf, 2, 3))) static bool fail(struct reader *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->error, r->error_size, format, args);
    va_end(args);
    return false;
}

/* "64M", "1G", "512K", "4096": powers of 1024. */
static bool read_bytes(const char *text, u64 *out)
{
    char *end;
    double value = strtod(text, &end);
    double factor = 1;
    if (*end == 'K')
        factor = 1024.0;
    else if (*end == 'M')
        factor = 1048576.0;
    else if (*end == 'G')
        factor = 1073741824.0;
    if (end == text || value < 0 || (factor > 1 ? end[1] : *end) != '\0')
        return false;
    *out = (u64)(value * factor);
    return true;
}

/* "500ms", "2s". */
static bool read_ms(const char *text, double *out)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || value < 0)
        return false;
    if (strcmp(end, "s") == 0)
        value *= 1000;
    else if (strcmp(end, "ms") != 0)
        return false;
    *out = value;
    return true;
}

static bool read_option(struct reader *r, struct segment *s, const char *name, const char *value)
{
    u64 bytes = 0;
    double ms = 0;
    if (strcmp(name, "set") == 0 && read_bytes(value, &bytes))
        return s->set_pages = bytes / PAGE_BYTES, true;
    if (strcmp(name, "offset") == 0 && read_bytes(value, &bytes))
        return s->offset_page = bytes / PAGE_BYTES, true;
    if (strcmp(name, "step") == 0 && read_bytes(value, &bytes))
        return s->drift_pages = bytes / PAGE_BYTES, true;
    if (strcmp(name, "rate") == 0 && read_bytes(value, &bytes))
        return s->rate_bytes_per_sec = bytes, true;
    if (strcmp(name, "for") == 0 && read_ms(value, &ms))
        return s->duration_ns = (u64)(ms * 1e6), true;
    if (strcmp(name, "on") == 0 && read_ms(value, &r->on_ms))
        return true;
    if (strcmp(name, "off") == 0 && read_ms(value, &r->off_ms))
        return true;
    if (strcmp(name, "order") == 0 && (strcmp(value, "seq") == 0 || strcmp(value, "random") == 0))
        return s->random_order = value[0] == 'r', true;
    if (strcmp(name, "touch") == 0 && (strcmp(value, "8") == 0 || strcmp(value, "4096") == 0))
        return s->whole_page = value[0] == '4', true;
    if (strcmp(name, "exponent") == 0) {
        s->exponent = strtod(value, NULL);
        return s->exponent > 0 && s->exponent <= 4 ? true : fail(r, "exponent must be in (0, 4]");
    }
    if (strcmp(name, "writes") == 0) {
        double share = strtod(value, NULL);
        s->write_threshold = (u32)(share * 4294967295.0);
        return share > 0 && share <= 1 ? true : fail(r, "writes must be in (0, 1]");
    }
    return fail(r, "cannot read %s=%s", name, value);
}

static u64 greatest_common_divisor(u64 a, u64 b)
{
    while (b != 0) {
        u64 rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static bool build_zipf(struct reader *r, struct segment *s)
{
    u64 n = s->set_pages;
    s->zipf = malloc((ZIPF_STEPS + 1) * sizeof *s->zipf);
    if (s->zipf == NULL)
        return fail(r, "no memory for the zipf table");
    double total = 0;
    for (u64 i = 1; i <= n; i++)
        total += pow((double)i, -s->exponent);
    double below = 0;
    u64 rank = 0;
    double weight = 1;
    for (int i = 0; i < ZIPF_STEPS; i++) {
        double wanted = total * i / ZIPF_STEPS;
        while (rank + 1 < n && below + weight <= wanted) {
            below += weight;
            weight = pow((double)(++rank + 1), -s->exponent);
        }
        double part = (wanted - below) / weight;
        s->zipf[i] = (u64)(((double)rank + (part < 1 ? part : 1)) * 4294967296.0);
    }
    s->zipf[ZIPF_STEPS] = n << 32;
    s->drift_pages = (u64)((double)n * 0.6180339887) | 1;
    while (greatest_common_divisor(s->drift_pages, n) != 1)
        s->drift_pages += 2;
    return true;
}

static bool read_segment(struct reader *r, struct segment *s, char *text, u64 arena_pages, bool *is_burst)
{
    static const char *const names[] = {"idle", "steady", "drift", "zipf", "readmostly"};
    char *options = strchr(text, ':');
    if (options != NULL)
        *options++ = '\0';
    *is_burst = strcmp(text, "burst") == 0;
    int kind = *is_burst ? SEG_STEADY : -1;
    for (int i = 0; i < 5 && kind < 0; i++)
        if (strcmp(text, names[i]) == 0)
            kind = i;
    if (kind < 0)
        return fail(r, "unknown pattern %s", text);
    s->kind = (enum segment_kind)kind;
    s->whole_page = true;
    s->write_threshold = s->kind == SEG_READMOSTLY ? 429496729u : UINT32_MAX; /* writes=0.1 */
    s->exponent = 1;
    char *save = NULL;
    for (char *item = options == NULL ? NULL : strtok_r(options, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
        char *value = strchr(item, '=');
        if (value == NULL)
            return fail(r, "wanted name=value, got %s", item);
        *value++ = '\0';
        if (!read_option(r, s, item, value))
            return false;
    }
    if (s->kind == SEG_IDLE)
        return true;
    if (s->set_pages == 0 || s->rate_bytes_per_sec < PAGE_BYTES)
        return fail(r, "%s needs set= and rate= of a page or more", text);
    if (s->offset_page + s->set_pages > arena_pages)
        return fail(r, "set and offset need %llu pages, the arena has %llu",
                    (unsigned long long)(s->offset_page + s->set_pages), (unsigned long long)arena_pages);
    if (s->kind == SEG_DRIFT && s->drift_pages == 0)
        return fail(r, "drift needs step= of a page or more");
    return s->kind == SEG_ZIPF ? build_zipf(r, s) : true;
}

static void free_tables(struct pattern *p)
{
    for (int i = 0; i < PATTERN_SEGMENTS_MAX; i++)
        free(p->segments[i].zipf);
}

static bool read_all(struct reader *r, struct pattern *p, u64 seed)
{
    char copy[PATTERN_SPEC_MAX];
    strcpy(copy, p->spec);
    bool phased = strncmp(copy, "phases:", 7) == 0;
    char *save = NULL;
    bool is_burst = false;
    for (char *part = strtok_r(phased ? copy + 7 : copy, phased ? "/" : "", &save); part; part = strtok_r(NULL, "/", &save)) {
        if (p->segment_count == PATTERN_SEGMENTS_MAX)
            return fail(r, "at most %d segments", PATTERN_SEGMENTS_MAX);
        struct segment *s = &p->segments[p->segment_count++];
        s->salt = mix64(seed + (u64)p->segment_count);
        if (!read_segment(r, s, part, p->arena_pages, &is_burst))
            return false;
        if (phased && (is_burst || s->duration_ns == 0))
            return fail(r, "a segment of phases needs for= and cannot be burst");
    }
    if (p->segment_count == 0)
        return fail(r, "empty pattern");
    if (is_burst) {
        p->segments[0].duration_ns = (u64)(r->on_ms * 1e6);
        p->segments[1] = (struct segment){.kind = SEG_IDLE, .duration_ns = (u64)(r->off_ms * 1e6)};
        p->segment_count = 2;
        if (p->segments[0].duration_ns == 0 || p->segments[1].duration_ns == 0)
            return fail(r, "burst needs on= and off=");
    }
    p->endless = !phased && !is_burst;
    for (int i = 0; i < p->segment_count && !p->endless; i++) {
        struct segment *s = &p->segments[i];
        s->steps = s->kind == SEG_IDLE
                       ? 0
                       : (u64)((u128)s->rate_bytes_per_sec * s->duration_ns / (PAGE_BYTES * NS_PER_SEC));
        p->cycle_ns += s->duration_ns;
        p->cycle_steps += s->steps;
    }
    return true;
}

bool pattern_parse(struct pattern *out, const char *spec, u64 arena_pages, u64 seed, char *error, size_t error_size)
{
    struct reader r = {.error = error, .error_size = error_size};
    *out = (struct pattern){.arena_pages = arena_pages};
    if (strlen(spec) >= sizeof out->spec)
        return fail(&r, "the pattern is longer than %zu bytes", sizeof out->spec - 1);
    strcpy(out->spec, spec);
    if (read_all(&r, out, seed))
        return true;
    free_tables(out);
    return false;
}

// SPDX-License-Identifier: Apache-2.0
// Requests and answers. Numbers that may exceed 2^53 do not occur; field names are those of testbed/guest/reports.ts.

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "app.h"
#include "control.h"
#include "disk.h"
#include "writer.h"

enum { ID_MAX_BYTES = 32, ERROR_MAX_BYTES = 160 };

typedef unsigned long long ull;

static struct {
    char text[REPLY_MAX_BYTES];
    size_t used;
} reply;

static char last_id[ID_MAX_BYTES];

__attribute__((format(printf, 1, 2))) static void add(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(reply.text + reply.used, sizeof reply.text - reply.used, format, args);
    va_end(args);
    if (length > 0 && reply.used + (size_t)length < sizeof reply.text)
        reply.used += (size_t)length;
}

/* Text of plain characters and line ends, as a JSON string. */
static void add_text(const char *text)
{
    add("\"");
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            add("\\n");
        else
            add(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    }
    add("\"");
}

static void add_app(void)
{
    static struct app_status app;
    app_get_status(&app);
    if (app.name == NULL)
        return;
    add(",\"app\":{\"name\":\"%s\",\"state\":\"%s\",\"exitCode\":%d,\"signal\":%d,\"output\":", app.name, app.state,
        app.exit_code, app.signal);
    add_text(app.output);
    add("}");
}

static void add_status(const struct arena *arena)
{
    struct writer_status s;
    writer_get_status(&s);
    add(",\"ready\":true,\"paused\":%s,\"arenaBytes\":%llu,\"pages\":%llu,\"steps\":%llu,\"rateBytesPerSec\":%llu",
        s.paused ? "true" : "false", (ull)(arena->pages * PAGE_BYTES), (ull)arena->pages, (ull)s.steps,
        (ull)s.rate_bytes_per_sec);
    add(",\"shedMs\":%llu,\"uptimeMs\":%llu,\"diskWrites\":%llu,\"diskErrors\":%llu,\"pattern\":\"%s\"",
        (ull)s.shed_ms, (ull)(now_ns() / NS_PER_MS), (ull)disk_writes(), (ull)disk_errors(), s.spec);
    add_app();
}

static void add_page(const struct bad_page *p)
{
    add("\"page\":%llu,\"physicalAddress\":%llu,\"kind\":\"%s\",\"expectedVersion\":%llu,\"gotVersion\":%.0f", (ull)p->page,
        (ull)p->physical, p->hot ? "hot" : "cold", (ull)p->expected_version, (double)p->got_version);
}

static void add_verify(void)
{
    static struct verify_report memory;
    static struct disk_report disk;
    struct writer_status s;
    writer_get_status(&s);
    u64 start_ns = now_ns();
    bool was_paused = s.paused;
    writer_pause();
    disk_pause();
    writer_get_status(&s);
    writer_verify(&memory);
    disk_verify(&disk);
    if (!was_paused) {
        disk_resume();
        writer_resume();
    }
    bool coherent = memory.bad_pages == 0 && disk.bad_blocks == 0;
    add(",\"coherent\":%s,\"hotPages\":%llu,\"coldPages\":%llu,\"badPageCount\":%llu,\"badPages\":[", coherent ? "true" : "false",
        (ull)memory.hot_pages, (ull)memory.cold_pages, (ull)memory.bad_pages);
    for (int i = 0; i < memory.reported; i++) {
        add("%s{", i == 0 ? "" : ",");
        add_page(&memory.bad[i]);
        add(",\"firstBadWord\":%d,\"badWords\":%d}", memory.bad[i].first_word, memory.bad[i].words);
    }
    add("],\"diskBlocks\":%llu,\"badBlockCount\":%llu,\"badBlocks\":[", (ull)disk.blocks, (ull)disk.bad_blocks);
    for (int i = 0; i < disk.reported; i++)
        add("%s{\"block\":%llu,\"kind\":\"%s\",\"expectedSequence\":%u,\"gotSequence\":%u}", i == 0 ? "" : ",",
            (ull)disk.bad[i].block, disk.bad[i].kind, disk.bad[i].expected_sequence, disk.bad[i].got_sequence);
    add("],\"steps\":%llu,\"rateBytesPerSec\":%llu,\"shedMs\":%llu,\"diskWrites\":%llu,\"diskErrors\":%llu,\"tookMs\":%llu",
        (ull)s.steps, (ull)s.rate_bytes_per_sec, (ull)s.shed_ms, (ull)disk_writes(), (ull)disk_errors(),
        (ull)((now_ns() - start_ns) / NS_PER_MS));
}

static const char *add_where(const char *arguments)
{
    char kind[8];
    ull n;
    struct bad_page found;
    if (sscanf(arguments, "%7s %llu", kind, &n) != 2 || (strcmp(kind, "hot") != 0 && strcmp(kind, "cold") != 0))
        return "wanted: where hot|cold N";
    struct writer_status s;
    writer_get_status(&s);
    writer_pause();
    bool exists = writer_where(kind[0] == 'h', n, &found);
    if (!s.paused)
        writer_resume();
    if (!exists)
        return "there are not so many pages of this kind";
    add(",");
    add_page(&found);
    return NULL;
}

static const char *switch_pattern(const char *spec, const struct arena *arena)
{
    static char error[ERROR_MAX_BYTES];
    static struct pattern pattern;
    if (!pattern_parse(&pattern, spec, arena->pages, arena->seed, error, sizeof error))
        return error;
    return writer_switch(&pattern) ? NULL : "too many patterns in one life of this guest";
}

/* Adds the answer's fields; returns what is wrong with the request, or NULL. */
static const char *handle(const char *command, const char *arguments, const struct arena *arena)
{
    if (strcmp(command, "ping") == 0)
        return NULL;
    if (strcmp(command, "status") == 0)
        return add_status(arena), NULL;
    if (strcmp(command, "pause") == 0) {
        writer_pause();
        disk_pause();
        return add_status(arena), NULL;
    }
    if (strcmp(command, "resume") == 0) {
        disk_resume();
        writer_resume();
        return add_status(arena), NULL;
    }
    if (strcmp(command, "sync") == 0)
        return disk_flush(), add_status(arena), NULL;
    if (strcmp(command, "verify") == 0)
        return add_verify(), NULL;
    if (strcmp(command, "where") == 0)
        return add_where(arguments);
    if (strcmp(command, "pattern") == 0)
        return switch_pattern(arguments, arena);
    return "unknown command";
}

static void answer(const char *line, const struct arena *arena)
{
    char id[ID_MAX_BYTES], command[16];
    int arguments_at = 0;
    if (sscanf(line, "%31[A-Za-z0-9.-] %15s %n", id, command, &arguments_at) != 2)
        return;
    if (strcmp(id, last_id) == 0)
        return; /* the reply of the last request is still in place */
    strcpy(last_id, id);
    reply.used = 0;
    add("{\"id\":\"%s\",\"ok\":true", id);
    const char *wrong = handle(command, line + arguments_at, arena);
    if (wrong != NULL) {
        reply.used = 0;
        add("{\"id\":\"%s\",\"ok\":false,\"error\":\"%s\"", id, wrong);
    }
    add("}");
}

void control_run(struct line_port *port, const struct arena *arena)
{
    for (;;) {
        const char *line = line_read(port, 1000);
        if (line == NULL)
            continue;
        answer(line, arena);
        line_write(port, reply.text);
    }
}

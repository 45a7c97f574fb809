// SPDX-License-Identifier: Apache-2.0
// Starts the application, keeps the last of its output and learns of its end. As the guest's first process this one also
// inherits whatever the application leaves behind.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "app.h"
#include "base.h"
#include "thread.h"

#define RUNNING_LINE "SLACKWATER-APP running\n"

extern char **environ;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct app_status status;
static size_t output_used;
static pid_t pid;
static int output_fd;

/* Keeps the last APP_OUTPUT_MAX bytes. */
static void keep_output(const char *piece, size_t length)
{
    if (length > APP_OUTPUT_MAX) {
        piece += length - APP_OUTPUT_MAX;
        length = APP_OUTPUT_MAX;
    }
    if (output_used + length > APP_OUTPUT_MAX) {
        size_t gone = output_used + length - APP_OUTPUT_MAX;
        memmove(status.output, status.output + gone, output_used - gone);
        output_used -= gone;
    }
    for (size_t i = 0; i < length; i++) {
        bool plain = piece[i] == '\n' || (piece[i] >= ' ' && piece[i] <= '~');
        status.output[output_used++] = plain ? piece[i] : ' ';
    }
    status.output[output_used] = '\0';
}

static void *output_main(void *unused)
{
    static char piece[512];
    (void)unused;
    for (;;) {
        ssize_t length = read(output_fd, piece, sizeof piece);
        if (length == 0 || (length < 0 && errno != EINTR))
            return NULL;
        if (length < 0)
            continue;
        pthread_mutex_lock(&lock);
        keep_output(piece, (size_t)length);
        char *mark = strstr(status.output, RUNNING_LINE);
        if (mark != NULL) {
            char *rest = mark + strlen(RUNNING_LINE);
            memmove(mark, rest, strlen(rest) + 1);
            output_used = strlen(status.output);
            if (strcmp(status.state, "starting") == 0)
                status.state = "running";
        }
        pthread_mutex_unlock(&lock);
    }
}

static void *reaper_main(void *unused)
{
    (void)unused;
    for (;;) {
        int how;
        pid_t ended = waitpid(-1, &how, 0);
        if (ended < 0) {
            /* No child at present; one that loses its parent may still become ours. */
            struct timespec rest = {1, 0};
            nanosleep(&rest, NULL);
            continue;
        }
        if (ended != pid)
            continue;
        /* Its last words may still be in the pipe. */
        struct timespec rest = {0, 50 * NS_PER_MS};
        nanosleep(&rest, NULL);
        pthread_mutex_lock(&lock);
        status.exit_code = WIFEXITED(how) ? WEXITSTATUS(how) : -1;
        status.signal = WIFSIGNALED(how) ? WTERMSIG(how) : 0;
        status.state = "ended";
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

bool app_start(const char *name)
{
    static char path[96];
    int ends[2];
    snprintf(path, sizeof path, "/apps/%s", name);
    status = (struct app_status){.name = name, .state = "starting", .exit_code = -1};
    if (pipe2(ends, O_CLOEXEC) != 0) {
        perror("SLACKWATER-ERROR pipe of the application");
        return false;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    char *argv[] = {path, NULL};
    /* Spawned and not forked: a fork would make the locked arena copy-on-write, and its pages move. */
    int error = posix_spawn(&pid, path, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    output_fd = ends[0];
    if (error != 0) {
        fprintf(stderr, "SLACKWATER-ERROR cannot start %s: %s\n", path, strerror(error));
        return false;
    }
    return thread_start(output_main) && thread_start(reaper_main);
}

void app_get_status(struct app_status *out)
{
    pthread_mutex_lock(&lock);
    *out = status;
    pthread_mutex_unlock(&lock);
}

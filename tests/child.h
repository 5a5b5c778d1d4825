/* child.h - child processes of a test that begin anew: the test program executed again with the name of a part.
 *
 * A forked copy of a process that had threads is no ground to start threads on: locks of threads that are not there
 * stay taken, and ThreadSanitizer sees races with them. A new program has neither.
 */
#pragma once
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

enum { CHILD_ARGUMENTS = 3 };

struct child_part {
    const char *name;
    void (*play)(char *const arguments[CHILD_ARGUMENTS]); /* NULL after the last */
};

/* Play `part` in a new process, which ends with its parent at the latest. Open file descriptors stay open in it. */
static inline pid_t child_start(const char *part, const char *const arguments[CHILD_ARGUMENTS])
{
    char *all[] = {"test", (char *)part, (char *)arguments[0], (char *)arguments[1], (char *)arguments[2], NULL};
    pid_t child = fork();
    if (child != 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execv("/proc/self/exe", all);
    perror("execv");
    _exit(127);
}
/* CHILD("part", "argument", ...) */
#define CHILD(part, ...) child_start(part, (const char *const[CHILD_ARGUMENTS]){__VA_ARGS__})

/* First in main: in a child, plays its part and ends the process. */
static inline void child_play(const struct child_part *parts, size_t n, int argc, char **argv)
{
    if (argc < 2) return;
    char *const arguments[CHILD_ARGUMENTS] = {argc > 2 ? argv[2] : NULL, argc > 3 ? argv[3] : NULL,
                                              argc > 4 ? argv[4] : NULL};
    for (size_t i = 0; i < n; i++) {
        if (strcmp(argv[1], parts[i].name) != 0) continue;
        parts[i].play(arguments);
        _exit(0);
    }
    fprintf(stderr, "%s: no part \"%s\"\n", argv[0], argv[1]);
    _exit(2);
}

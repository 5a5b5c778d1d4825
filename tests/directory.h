/* directory.h - a directory of its own for a test, removed with all that is in it. */
#pragma once
#include "check.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>

enum { DIRECTORY_PATH = 80 }; /* short enough for the path of a socket inside */

/* `path` has room for DIRECTORY_PATH bytes. Where TMPDIR is too long, the directory is in /tmp. */
static inline void directory_make(char *path)
{
    static const char name[] = "/lightfast-test-XXXXXX";
    const char *parent = getenv("TMPDIR");
    if (!parent || strlen(parent) + sizeof name > DIRECTORY_PATH) parent = "/tmp";
    snprintf(path, DIRECTORY_PATH, "%s%s", parent, name);
    check(mkdtemp(path) != NULL);
}

static inline int directory_remove_entry(const char *path, const struct stat *facts, int kind, struct FTW *where)
{
    (void)facts;
    (void)kind;
    (void)where;
    return remove(path);
}

static inline void directory_remove(const char *path)
{
    check_int(nftw(path, directory_remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

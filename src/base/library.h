/* library.h - a shared library that is loaded when it is first needed.
 *
 * DESIGN. What a program is linked with is loaded at each of its starts, with all that this is linked with in turn. For
 * libcurl and libgit2 these are twenty libraries, a quarter of the time until a server answers and of its memory, and few
 * processes call either. A library that is loaded later is a list of the functions that are used of it, a struct of
 * pointers to them, and one call before the first use; types and constants come from its headers, as always:
 *
 *     #define LIBCURL(FUNCTION) FUNCTION(curl_, easy_init) FUNCTION(curl_, easy_perform)
 *     static struct { LIBCURL(LIBRARY_POINTER) } libcurl;
 *     static const char *const names[] = {LIBCURL(LIBRARY_NAME)};
 *     TRY(library_load(arena, "libcurl.so.4", names, sizeof names / sizeof *names, &libcurl));
 *     CURL *easy = libcurl.easy_init();
 */
#pragma once
#include "base/err.h"

#define LIBRARY_POINTER(prefix, name) __typeof__(prefix##name) *name;
#define LIBRARY_NAME(prefix, name)    #prefix #name,

/* Load `file`, for good, and write the addresses of its functions to `pointers`, in the order of their names.
 * Errors: ERR_UNAVAILABLE if it, or a function of it, is not there. */
MUST_CHECK struct err *library_load(struct arena *arena, const char *file, const char *const *names, size_t count,
                                    void *pointers);

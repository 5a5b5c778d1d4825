/* region.h - large arrays straight from the kernel: grown without copying, aligned to pages, on huge pages when large. */
#pragma once
#include <stddef.h>

/* Make a region of old_bytes (p == NULL: none yet) new_bytes large; what is added is zero. Out of memory ends the
 * process with a message, as in an arena. */
void *index_region_grow(void *p, size_t old_bytes, size_t new_bytes);
void  index_region_free(void *p, size_t bytes);

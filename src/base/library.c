#include "base/library.h"

#include <dlfcn.h>
#include <string.h>

struct err *library_load(struct arena *arena, const char *file, const char *const *names, size_t count, void *pointers)
{
    void *library = dlopen(file, RTLD_LAZY | RTLD_LOCAL);
    if (!library) return err_new(arena, ERR_UNAVAILABLE, "cannot load %s", dlerror());
    for (size_t i = 0; i < count; i++) {
        void *function = dlsym(library, names[i]);
        if (!function) return err_new(arena, ERR_UNAVAILABLE, "%s has no function %s", file, names[i]);
        memcpy((char *)pointers + i * sizeof function, &function, sizeof function);
    }
    return NULL;
}

/* trees.c - what a commit changed, from the raw trees alone: no blob is read unless lines are counted. */
#include "source/git/inside.h"

#include "base/utf8.h"

#include <stdlib.h>

/* ---- the cache: the tree of a commit is read again as the "before" of its children ------------------------------- */

enum { CACHE_SETS = 1024, CACHE_WAYS = 4, CACHE_BYTES = 16 << 20, MAX_CACHED = 1 << 20 };

struct tree_cache {
    git_odb_object *ways[CACHE_SETS][CACHE_WAYS]; /* most recent first */
    size_t          bytes, hand;
};

struct tree_cache *tree_cache_create(void)
{
    struct tree_cache *cache = calloc(1, sizeof *cache);
    if (!cache) abort();
    return cache;
}

static void drop(struct tree_cache *cache, git_odb_object **way)
{
    if (!*way) return;
    cache->bytes -= libgit2.odb_object_size(*way);
    libgit2.odb_object_free(*way);
    *way = NULL;
}

void tree_cache_destroy(struct tree_cache *cache)
{
    if (!cache) return;
    for (size_t set = 0; set < CACHE_SETS; set++)
        for (size_t way = 0; way < CACHE_WAYS; way++) drop(cache, &cache->ways[set][way]);
    free(cache);
}

static git_odb_object **set_of(struct tree_cache *cache, const git_oid *id)
{
    return cache->ways[(id->id[0] | id->id[1] << 8) % CACHE_SETS];
}

static void move_to_front(git_odb_object **set, size_t way)
{
    git_odb_object *object = set[way];
    memmove(set + 1, set, way * sizeof *set);
    set[0] = object;
}

static void keep(struct tree_cache *cache, git_odb_object *object)
{
    git_odb_object **set = set_of(cache, libgit2.odb_object_id(object));
    if (libgit2.odb_object_size(object) > MAX_CACHED) return;
    drop(cache, &set[CACHE_WAYS - 1]);
    if (libgit2.odb_object_dup(&set[CACHE_WAYS - 1], object) != 0) return;
    move_to_front(set, CACHE_WAYS - 1);
    cache->bytes += libgit2.odb_object_size(object);
    while (cache->bytes > CACHE_BYTES) {
        git_odb_object **victims = cache->ways[cache->hand++ % CACHE_SETS];
        for (size_t way = 1; way < CACHE_WAYS; way++) drop(cache, &victims[way]);
        if (victims != set) drop(cache, &victims[0]);
    }
}

/* The caller's reference, ended by object_end. */
static git_odb_object *read_tree(struct source_git *git, const git_oid *id)
{
    git_odb_object **set = set_of(git->trees, id), *object = NULL;
    for (size_t way = 0; way < CACHE_WAYS; way++) {
        if (!set[way] || !libgit2.oid_equal(libgit2.odb_object_id(set[way]), id)) continue;
        move_to_front(set, way);
        return libgit2.odb_object_dup(&object, set[0]) == 0 ? object : NULL;
    }
    object = object_read(git, id, GIT_OBJECT_TREE);
    if (object) keep(git->trees, object);
    return object;
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

enum { MODE_TYPE = 0170000, MODE_TREE = 0040000, MODE_COMMIT = 0160000, MAX_PATH_LENGTH = 1000, MAX_FILES = 1000000,
       MAX_TREES = 200000, MAX_BLOB = 8 << 20, MAX_MISSING = 100 };

struct entry {
    uint32_t       mode; /* 0: the end */
    struct str     name;
    const git_oid *id;
};
struct cursor {
    struct str   rest;
    struct entry entry;
};

static void cursor_step(struct cursor *cursor)
{
    struct str rest = cursor->rest;
    uint32_t   mode = 0;
    size_t     i = 0;
    for (; i < rest.n && i < 7 && rest.s[i] >= '0' && rest.s[i] <= '7'; i++)
        mode = mode * 8 + (uint32_t)(rest.s[i] - '0');
    size_t end = str_find_char(rest, 0, i);
    if (end == SIZE_MAX || rest.s[i] != ' ' || rest.n - end - 1 < GIT_OID_RAWSZ) {
        *cursor = (struct cursor){0};
        return;
    }
    cursor->entry = (struct entry){mode, str_slice(rest, i + 1, end), (const git_oid *)(rest.s + end + 1)};
    cursor->rest = str_skip(rest, end + 1 + GIT_OID_RAWSZ);
}

static struct cursor cursor_at(git_odb_object *tree)
{
    struct cursor cursor = {0};
    if (!tree) return cursor;
    cursor.rest = object_raw(tree);
    cursor_step(&cursor);
    return cursor;
}

static bool is_tree(const struct entry *entry)
{
    return (entry->mode & MODE_TYPE) == MODE_TREE;
}

/* Entries are sorted as if the names of directories ended in "/". The end sorts last. */
static int compare_entries(const struct entry *a, const struct entry *b)
{
    if (!a->mode || !b->mode) return !a->mode - !b->mode;
    size_t n = a->name.n < b->name.n ? a->name.n : b->name.n;
    int    order = memcmp(a->name.s, b->name.s, n);
    if (order) return order;
    int x = a->name.n > n ? (unsigned char)a->name.s[n] : is_tree(a) ? '/' : 0;
    int y = b->name.n > n ? (unsigned char)b->name.s[n] : is_tree(b) ? '/' : 0;
    return x - y;
}

struct comparison {
    struct source_git   *git;
    struct arena        *arena;
    struct tree_changes *changes;
    size_t               trees; /* read so far */
    char                 prefix[MAX_PATH_LENGTH];
};

/* Lines of one blob against the other as git counts them. libgit2 gets no path, so it looks at no attributes. */
static void count_lines(struct comparison *comparison, const struct entry *before, const struct entry *after)
{
    struct source_git *git = comparison->git;
    git_blob          *blobs[2] = {NULL, NULL};
    git_patch         *patch = NULL;
    const struct entry *sides[2] = {before, after};
    bool                readable = true;
    for (int i = 0; i < 2 && readable; i++) {
        size_t       size;
        git_object_t type;
        if (!sides[i] || (sides[i]->mode & MODE_TYPE) == MODE_COMMIT) continue;
        readable = libgit2.odb_read_header(&size, &type, git->odb, sides[i]->id) == 0 && size <= MAX_BLOB &&
                   libgit2.blob_lookup(&blobs[i], git->repository, sides[i]->id) == 0;
    }
    size_t added, removed;
    git->missing_blobs += !readable;
    if (readable && libgit2.patch_from_blobs(&patch, blobs[0], NULL, blobs[1], NULL, NULL) == 0 && patch &&
        libgit2.patch_line_stats(NULL, &added, &removed, patch) == 0) {
        comparison->changes->additions += (int64_t)added;
        comparison->changes->deletions += (int64_t)removed;
    } else if (!readable) {
        comparison->changes->lines_known = false;
    }
    libgit2.patch_free(patch);
    libgit2.blob_free(blobs[0]);
    libgit2.blob_free(blobs[1]);
}

static void record(struct comparison *comparison, size_t depth_length, const struct entry *before,
                   const struct entry *after)
{
    struct tree_changes *changes = comparison->changes;
    const struct entry  *entry = after ? after : before;
    changes->files++;
    if (changes->lines_known) count_lines(comparison, before, after);
    if (changes->path_count == MAX_PATHS || depth_length + entry->name.n > MAX_PATH_LENGTH) return;
    char *path = arena_alloc_raw(comparison->arena, depth_length + entry->name.n);
    memcpy(path, comparison->prefix, depth_length);
    memcpy(path + depth_length, entry->name.s, entry->name.n);
    changes->paths[changes->path_count++] =
        utf8_repair(comparison->arena, (struct str){path, depth_length + entry->name.n});
}

static void compare_trees(struct comparison *comparison, const git_oid *before, const git_oid *after, size_t length,
                          int depth);

static void differ(struct comparison *comparison, const struct entry *before, const struct entry *after, size_t length,
                   int depth)
{
    const struct entry *entry = after ? after : before;
    if (!is_tree(entry)) {
        record(comparison, length, before, after);
        return;
    }
    size_t longer = length + entry->name.n + 1;
    if (longer > MAX_PATH_LENGTH || depth >= (int)MAX_TREE_DEPTH) {
        comparison->changes->files++;
        return;
    }
    memcpy(comparison->prefix + length, entry->name.s, entry->name.n);
    comparison->prefix[longer - 1] = '/';
    compare_trees(comparison, before ? before->id : NULL, after ? after->id : NULL, longer, depth + 1);
}

static void compare_trees(struct comparison *comparison, const git_oid *before, const git_oid *after, size_t length,
                          int depth)
{
    struct tree_changes   *changes = comparison->changes;
    git_odb_object *old OBJECT_SCOPE = before ? read_tree(comparison->git, before) : NULL;
    git_odb_object *new OBJECT_SCOPE = after ? read_tree(comparison->git, after) : NULL;
    comparison->trees += 2;
    if ((before && !old) || (after && !new) || comparison->trees > MAX_TREES || changes->files > MAX_FILES)
        changes->known = false;
    struct cursor a = cursor_at(old), b = cursor_at(new);
    while (changes->known && (a.entry.mode || b.entry.mode)) {
        int order = compare_entries(&a.entry, &b.entry);
        struct entry *gone = order <= 0 ? &a.entry : NULL, *come = order >= 0 ? &b.entry : NULL;
        if (order || a.entry.mode != b.entry.mode || !libgit2.oid_equal(a.entry.id, b.entry.id))
            differ(comparison, gone, come, length, depth);
        if (gone) cursor_step(&a);
        if (come) cursor_step(&b);
    }
}

void trees_compare(struct source_git *git, struct arena *arena, const git_oid *before, const git_oid *after,
                   struct tree_changes *changes)
{
    struct comparison comparison = {.git = git, .arena = arena, .changes = changes};
    changes->path_count = 0;
    changes->files = changes->additions = changes->deletions = 0;
    changes->known = true;
    /* A partial clone has no blobs, and each vain look makes libgit2 list the packs again. */
    changes->lines_known = git->options.stat && git->missing_blobs < MAX_MISSING;
    if (!before || !libgit2.oid_equal(before, after)) compare_trees(&comparison, before, after, 0, 0);
}

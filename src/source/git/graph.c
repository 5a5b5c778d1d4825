/* graph.c - the first pass: every commit once, then topological order, oldest first. */
#include "source/git/inside.h"

enum { FIRST_SLOTS = 1 << 12 };

/* ---- the table of commits ---------------------------------------------------------------------------------------- */

void graph_start(struct graph *graph, struct arena *arena)
{
    *graph = (struct graph){.arena = arena, .slot_count = FIRST_SLOTS};
    graph->slots = NEW_ARRAY(arena, uint32_t, FIRST_SLOTS);
}

/* The first slot of an id. Ids are hashes already; a repository that makes them collide only slows its own import. */
static uint32_t home_slot(const struct graph *graph, const git_oid *id)
{
    uint64_t bits;
    memcpy(&bits, id->id, sizeof bits);
    return (uint32_t)(bits * 0x9e3779b97f4a7c15u >> 32) & (graph->slot_count - 1);
}

static uint32_t *slot_of(const struct graph *graph, const git_oid *id)
{
    for (uint32_t i = home_slot(graph, id);; i = (i + 1) & (graph->slot_count - 1)) {
        uint32_t *slot = &graph->slots[i];
        if (!*slot || libgit2.oid_equal(&graph_at(graph, *slot - 1)->id, id)) return slot;
    }
}

uint32_t graph_find(const struct graph *graph, const git_oid *id)
{
    uint32_t at = *slot_of(graph, id);
    return at ? at - 1 : GRAPH_NONE;
}

static void double_slots(struct graph *graph)
{
    graph->slot_count *= 2;
    graph->slots = NEW_ARRAY(graph->arena, uint32_t, graph->slot_count);
    for (uint32_t i = 0; i < graph->n; i++) *slot_of(graph, &graph_at(graph, i)->id) = i + 1;
}

static uint32_t graph_add(struct graph *graph, const git_oid *id)
{
    uint32_t *slot = slot_of(graph, id);
    if (*slot) return *slot - 1;
    if (graph->n % GRAPH_CHUNK == 0) {
        size_t wanted = graph->n / GRAPH_CHUNK + 1, bytes = sizeof *graph->chunks;
        if (wanted > graph->chunk_capacity) {
            graph->chunks = arena_grow(graph->arena, graph->chunks, graph->chunk_capacity * bytes, wanted * 2 * bytes);
            graph->chunk_capacity = wanted * 2;
        }
        graph->chunks[wanted - 1] = NEW_ARRAY(graph->arena, struct graph_commit, GRAPH_CHUNK);
    }
    uint32_t at = graph->n++;
    *slot = at + 1;
    *graph_at(graph, at) = (struct graph_commit){
        .id = *id, .parents = {GRAPH_NONE, GRAPH_NONE}, .more = GRAPH_NONE, .via = GRAPH_NONE, .unreadable = true};
    if (graph->n > graph->slot_count / 4 * 3) double_slots(graph);
    return at;
}

uint32_t graph_parent(const struct graph *graph, const struct graph_commit *commit, size_t i, bool *last)
{
    if (i < 2) {
        *last = i == 1 && commit->more == GRAPH_NONE;
        return commit->parents[i];
    }
    *last = graph->more.at[commit->more + i - 1] == GRAPH_NONE;
    return graph->more.at[commit->more + i - 2];
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* In a walk over everything a parent is added to the graph; otherwise only what the graph holds already counts. */
static uint32_t parent_position(struct graph *graph, const git_oid *id, bool grow)
{
    return grow ? graph_add(graph, id) : graph_find(graph, id);
}

static void take_parents(struct graph *graph, uint32_t at, struct str parents, bool grow)
{
    git_oid id;
    size_t  count = 0;
    while (object_parent(&parents, &id)) {
        uint32_t parent = parent_position(graph, &id, grow);
        if (parent == at) continue;
        if (count < 2) {
            graph_at(graph, at)->parents[count++] = parent;
        } else if (parent != GRAPH_NONE) {
            if (count++ == 2) graph_at(graph, at)->more = (uint32_t)graph->more.n;
            *VEC_PUSH(graph->arena, &graph->more) = parent;
        }
    }
    if (count > 2) *VEC_PUSH(graph->arena, &graph->more) = GRAPH_NONE;
}

static void read_commit(struct source_git *git, uint32_t at, bool grow)
{
    struct graph          *graph = &git->graph;
    git_odb_object *object OBJECT_SCOPE = object_read(git, &graph_at(graph, at)->id, GIT_OBJECT_COMMIT);
    struct object_text     text;
    if (!object) return;
    object_parse(object_raw(object), &text);
    struct pull_subject  pull = pull_subject(object_subject(str_slice(text.message, 0, MAX_MESSAGE)));
    struct graph_commit *commit = graph_at(graph, at);
    commit->time = text.committer.time;
    commit->unreadable = false;
    commit->number = git->options.no_pr ? 0 : pull.number;
    commit->merges_branch = pull.merges_branch;
    take_parents(graph, at, text.parents, grow);
}

/* Only what `since` does not reach; libgit2 stops where both sides have met. False if a commit is in its way: then the
 * whole history is read, which is slower and gives events that are known to be stored already. */
static bool add_new_commits(struct source_git *git, const git_oid *since)
{
    git_revwalk *walk = NULL;
    git_oid      id;
    int          failed = libgit2.revwalk_new(&walk, git->repository);
    if (!failed) failed = libgit2.revwalk_push(walk, &git->tip) || libgit2.revwalk_hide(walk, since);
    while (!failed && (failed = libgit2.revwalk_next(&id, walk)) == 0) graph_add(&git->graph, &id);
    libgit2.revwalk_free(walk);
    return failed == GIT_ITEROVER;
}

/* ---- order ------------------------------------------------------------------------------------------------------- */

static bool newer(const struct graph *graph, uint32_t a, uint32_t b)
{
    const struct graph_commit *x = graph_at(graph, a), *y = graph_at(graph, b);
    return x->time != y->time ? x->time > y->time : libgit2.oid_cmp(&x->id, &y->id) > 0;
}

static void heap_push(const struct graph *graph, uint32_t *heap, size_t *n, uint32_t at)
{
    size_t i = (*n)++;
    for (; i > 0 && newer(graph, at, heap[(i - 1) / 2]); i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = at;
}

static uint32_t heap_pop(const struct graph *graph, uint32_t *heap, size_t *n)
{
    uint32_t top = heap[0], last = heap[--*n];
    size_t   i = 0;
    for (size_t child; (child = 2 * i + 1) < *n; i = child) {
        if (child + 1 < *n && newer(graph, heap[child + 1], heap[child])) child++;
        if (!newer(graph, heap[child], last)) break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return top;
}

static void count_children(struct graph *graph)
{
    for (uint32_t i = 0; i < graph->n; i++) {
        bool last = false;
        for (size_t p = 0; !last; p++) {
            uint32_t parent = graph_parent(graph, graph_at(graph, i), p, &last);
            if (parent != GRAPH_NONE) graph_at(graph, parent)->rank++;
        }
    }
}

/* Newest first: a commit is placed when all its children are, the newest of those that may be placed first. Then
 * turned round. Depends on nothing but the commits, so that two imports of one history agree. */
static void order_commits(struct graph *graph, struct arena *scratch)
{
    uint32_t *heap = NEW_ARRAY(scratch, uint32_t, graph->n);
    size_t    waiting = 0;
    graph->order = NEW_ARRAY(graph->arena, uint32_t, graph->n);
    count_children(graph);
    for (uint32_t i = 0; i < graph->n; i++)
        if (graph_at(graph, i)->rank == 0) heap_push(graph, heap, &waiting, i);
    uint32_t free_from = graph->n;
    while (waiting) {
        uint32_t at = heap_pop(graph, heap, &waiting);
        graph->order[--free_from] = at;
        bool last = false;
        for (size_t p = 0; !last; p++) {
            uint32_t parent = graph_parent(graph, graph_at(graph, at), p, &last);
            if (parent != GRAPH_NONE && --graph_at(graph, parent)->rank == 0) heap_push(graph, heap, &waiting, parent);
        }
    }
    graph->ordered = graph->n - free_from;
    memmove(graph->order, graph->order + free_from, graph->ordered * sizeof *graph->order);
    for (uint32_t i = 0; i < graph->n; i++) graph_at(graph, i)->rank = GRAPH_NONE;
    for (uint32_t i = 0; i < graph->ordered; i++) graph_at(graph, graph->order[i])->rank = i;
}

/* Keep what the options ask for. Where a shallow clone ends there are parents that nobody has: they are no failures. */
static void select_commits(struct source_git *git)
{
    struct graph *graph = &git->graph;
    uint32_t      kept = 0;
    for (uint32_t i = 0; i < graph->ordered; i++) {
        const struct graph_commit *commit = graph_at(graph, graph->order[i]);
        bool cut_off = commit->unreadable && git->facts.shallow;
        bool too_old = git->options.since > 0 && commit->time < (git->options.since + 999) / 1000;
        bool aside = git->options.first_parent && !commit->mainline;
        if (!cut_off && !too_old && !aside) graph->order[kept++] = graph->order[i];
    }
    uint32_t skip = git->options.max > 0 && kept > git->options.max ? kept - (uint32_t)git->options.max : 0;
    memmove(graph->order, graph->order + skip, (kept - skip) * sizeof *graph->order);
    graph->ordered = kept - skip;
}

void graph_read(struct source_git *git, const git_oid *since)
{
    struct arena *scratch ARENA_SCOPE = arena_create();
    struct graph         *graph = &git->graph;
    graph_start(graph, git->arena);
    git->incremental = since && add_new_commits(git, since);
    if (!git->incremental) {
        graph_start(graph, git->arena);
        graph_add(graph, &git->tip);
    }
    for (uint32_t at = 0; at < graph->n; at++) read_commit(git, at, !git->incremental);
    order_commits(graph, scratch);
    arena_reset(scratch);
    uint32_t tip = graph_find(graph, &git->tip);
    if (tip != GRAPH_NONE) pulls_attribute(graph, tip, scratch);
    select_commits(git);
}

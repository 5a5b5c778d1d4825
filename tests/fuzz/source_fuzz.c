/* source_fuzz.c - events from JSON; commits, trees and configuration files as a hostile repository may hold them. The
 * first byte says which. */
#include "crypto/crypto.h"
#include "source/git/inside.h"
#include "text/text.h"

#include <assert.h>
#include <git2/sys/mempack.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_stored_form(struct arena *arena, struct source_event event)
{
    struct json_out   out = json_out(arena);
    const json_value *written;
    source_event_write(&out, NULL, &event);
    struct err *err = json_parse(arena, json_out_text(&out), &written);
    assert(!err && json_is_object(written));
    struct source_event again = event;
    err = source_event_normalise(arena, &again);
    assert(!err && str_eq(again.title, event.title) && str_eq(again.body, event.body));
    assert(str_eq(again.source_id, event.source_id) && again.reference_count == event.reference_count);
}

static void event_from_json(struct arena *arena, struct str text)
{
    const json_value   *value;
    struct source_event event;
    if (json_parse(arena, text, &value) || source_event_read(arena, value, &event, NULL)) return;
    if (source_event_normalise(arena, &event) == NULL) check_stored_form(arena, event);
}

static git_oid stored(git_odb *odb, struct str raw, git_object_t type)
{
    git_oid id;
    int     failed = git_odb_write(&id, odb, raw.s, raw.n, type);
    assert(!failed);
    return id;
}

/* Two trees and what follows the tree line of a commit, divided by "%%". */
static void commit_and_trees(struct arena *arena, struct str text)
{
    git_odb         *odb = NULL;
    git_odb_backend *memory = NULL;
    if (git_odb_new(&odb) != 0 || git_mempack_new(&memory) != 0 || git_odb_add_backend(odb, memory, 1) != 0) abort();
    size_t first = str_find(text, STR("%%"), 0),
           second = first == SIZE_MAX ? SIZE_MAX : str_find(text, STR("%%"), first + 2);
    git_oid    before = stored(odb, str_slice(text, 0, first), GIT_OBJECT_TREE);
    git_oid    after = stored(odb, str_slice(text, first == SIZE_MAX ? 0 : first + 2, second), GIT_OBJECT_TREE);
    struct str tail = second == SIZE_MAX ? text : str_skip(text, second + 2);
    struct str parent = str_printf(arena, "tree " STR_FMT "\n\n", STR_ARG(git_hex(arena, &before)));
    git_oid    parent_id = stored(odb, parent, GIT_OBJECT_COMMIT);
    struct str raw = str_printf(arena, "tree " STR_FMT "\nparent " STR_FMT "\n", STR_ARG(git_hex(arena, &after)),
                                STR_ARG(git_hex(arena, &parent_id)));
    struct buf commit = buf_in(arena);
    buf_str_add(&commit, raw);
    buf_str_add(&commit, tail);
    struct source_git git = {.arena = arena,
                             .odb = odb,
                             .trees = tree_cache_create(),
                             .now = INT64_C(1700000000000),
                             .facts = {.repo = STR("a/b"), .source = STR("github"), .branch = STR("main")},
                             .options.github_web_url = STR("https://github.com"),
                             .page = STR("https://github.com/a/b")};
    graph_start(&git.graph, arena);
    git.tip = stored(odb, buf_str(&commit), GIT_OBJECT_COMMIT);
    git.recent = NEW_ARRAY(arena, struct recent_subject, SUBJECT_RING);
    graph_read(&git, NULL);
    pulls_choose(&git.graph, &(struct source_git_plan){0}, false, arena);
    for (uint32_t i = 0; i < git.graph.ordered; i++) {
        struct source_event event;
        if (compose_commit(&git, arena, git.graph.order[i], &event)) check_stored_form(arena, event);
    }
    tree_cache_destroy(git.trees);
    git_odb_free(odb);
}

static void configuration(struct arena *arena, struct str text)
{
    struct git_remote_name name;
    config_is_sha256(text);
    remote_name(arena, config_remote_url(arena, text), STR("https://github.com"), &name);
    if (remote_name(arena, text, STR("https://github.com"), &name)) assert(name.repo.n > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    if (!started) {
        crypto_start();
        text_start();
        started = true;
    }
    if (!size) return 0;
    struct arena *arena ARENA_SCOPE = arena_create();
    if (git_start(arena)) abort();
    struct str text = {(const char *)data + 1, size - 1};
    if (data[0] % 3 == 0) event_from_json(arena, text);
    if (data[0] % 3 == 1) commit_and_trees(arena, text);
    if (data[0] % 3 == 2) configuration(arena, text);
    return 0;
}

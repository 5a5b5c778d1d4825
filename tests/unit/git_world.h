/* git_world.h - repositories made for a test, imported and looked at. */
#pragma once
#include "check.h"
#include "directory.h"

#include "base/time.h"
#include "base/utf8.h"
#include "crypto/crypto.h"
#include "source/git/git.h"
#include "text/text.h"

#include <git2.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- repositories made for a test -------------------------------------------------------------------------------- */

struct history {
    struct arena   *arena;
    char            path[DIRECTORY_PATH];
    git_repository *repository;
    git_odb        *odb;
    git_index      *files; /* what the next commit holds */
    int64_t         clock;
};

static inline void history_end(struct history *history)
{
    git_index_free(history->files);
    git_odb_free(history->odb);
    git_repository_free(history->repository);
    directory_remove(history->path);
}
#define HISTORY __attribute__((cleanup(history_end))) struct history

static inline struct history history_begin(struct arena *arena, bool bare)
{
    struct history history = {.arena = arena, .clock = 1600000000};
    directory_make(history.path);
    git_repository_init_options options = GIT_REPOSITORY_INIT_OPTIONS_INIT;
    options.flags = GIT_REPOSITORY_INIT_MKPATH | (bare ? GIT_REPOSITORY_INIT_BARE : 0);
    options.initial_head = "main";
    check_int(git_repository_init_ext(&history.repository, history.path, &options), 0);
    check_int(git_repository_odb(&history.odb, history.repository), 0);
    check_int(git_index_new(&history.files), 0);
    return history;
}

static inline void put_entry(struct history *history, const char *path, const char *content, uint32_t mode)
{
    git_index_entry entry = {.mode = mode, .path = path};
    git_object_t    type = GIT_OBJECT_BLOB;
    if (mode == GIT_FILEMODE_COMMIT)
        git_oid_fromstr(&entry.id, "1234567890123456789012345678901234567890");
    else
        check_int(git_odb_write(&entry.id, history->odb, content, strlen(content), type), 0);
    check_int(git_index_add(history->files, &entry), 0);
}

static inline void put_file(struct history *history, const char *path, const char *content)
{
    put_entry(history, path, content, GIT_FILEMODE_BLOB);
}

static inline void remove_file(struct history *history, const char *path)
{
    check_int(git_index_remove_bypath(history->files, path), 0);
}

struct made {
    struct str     message;
    const git_oid *parents[8]; /* ends at NULL */
    const char    *author, *email, *committer, *headers; /* headers: further lines */
    int64_t        time;
};

static inline git_oid write_commit(struct history *history, struct made made)
{
    git_oid    id, tree;
    struct buf raw = buf_in(history->arena);
    char       hex[GIT_OID_HEXSZ + 1] = {0};
    int64_t    time = made.time ? made.time : (history->clock += 60);
    check_int(git_index_write_tree_to(&tree, history->files, history->repository), 0);
    git_oid_fmt(hex, &tree);
    buf_printf(&raw, "tree %s\n", hex);
    for (size_t i = 0; i < 8 && made.parents[i]; i++) {
        git_oid_fmt(hex, made.parents[i]);
        buf_printf(&raw, "parent %s\n", hex);
    }
    const char *author = made.author ? made.author : "Ada", *email = made.email ? made.email : "Ada@Example.org";
    buf_printf(&raw, "author %s <%s> %ld +0200\n", author, email, (long)time - 10);
    buf_printf(&raw, "committer %s <c@example.org> %ld +0000\n", made.committer ? made.committer : "Carl", (long)time);
    buf_printf(&raw, "%s\n", made.headers ? made.headers : "");
    buf_str_add(&raw, made.message);
    check_int(git_odb_write(&id, history->odb, raw.s, raw.n, GIT_OBJECT_COMMIT), 0);
    return id;
}

static inline git_oid commit(struct history *history, const char *message, const git_oid *first, const git_oid *second)
{
    return write_commit(history, (struct made){.message = str_of(message), .parents = {first, second}});
}

static inline void point(struct history *history, const char *reference, const git_oid *id)
{
    git_reference *made = NULL;
    check_int(git_reference_create(&made, history->repository, reference, id, 1, NULL), 0);
    git_reference_free(made);
}

static inline void point_to_name(struct history *history, const char *reference, const char *target)
{
    git_reference *made = NULL;
    check_int(git_reference_symbolic_create(&made, history->repository, reference, target, 1, NULL), 0);
    git_reference_free(made);
}

static inline void annotate(struct history *history, const char *tag, const git_oid *id, const char *message)
{
    char hex[GIT_OID_HEXSZ + 1] = {0};
    git_oid_fmt(hex, id);
    git_oid    object;
    struct str raw =
        str_printf(history->arena,
                   "object %s\ntype commit\ntag %s\ntagger Tess <77+tess@users.noreply.github.com> %ld +0000\n\n%s",
                   hex, tag, (long)(history->clock += 60), message);
    check_int(git_odb_write(&object, history->odb, raw.s, raw.n, GIT_OBJECT_TAG), 0);
    point(history, str_z(history->arena, str_printf(history->arena, "refs/tags/%s", tag)), &object);
}

static inline void write_text(struct history *history, const char *name, const char *text)
{
    const char *path = str_z(history->arena, str_printf(history->arena, "%s/%s", history->path, name));
    FILE       *file = fopen(path, "w");
    check(file != NULL);
    fputs(text, file);
    fclose(file);
}

static inline void set_remote(struct history *history, const char *url)
{
    write_text(history, "config",
               str_z(history->arena,
                     str_printf(history->arena, "[core]\n\tbare = true\n[remote \"origin\"]\n\turl = %s\n", url)));
}

/* ---- imports ----------------------------------------------------------------------------------------------------- */

struct imported {
    struct source_git_facts  facts;
    struct source_git_counts counts;
    struct source_event     *events;
    size_t                   n;
    int64_t                  scanned, failed;
    struct str               tags;
};

static inline struct imported import_with(struct history *history, struct source_git_options options,
                                   struct source_git_plan plan)
{
    struct imported    imported = {0};
    struct source_git *git = NULL;
    struct arena      *arena = history->arena;
    VEC(struct source_event) all = {0};
    if (!options.path.n) options.path = str_of(history->path);
    if (!options.github_web_url.s) options.github_web_url = STR("https://github.com");
    check_ok(source_git_open(arena, options, &git));
    source_git_facts(git, &imported.facts);
    imported.facts.repo = str_dup(arena, imported.facts.repo);
    imported.facts.branch = str_dup(arena, imported.facts.branch);
    imported.facts.host = str_dup(arena, imported.facts.host);
    imported.facts.tip = str_dup(arena, imported.facts.tip);
    imported.facts.path = str_dup(arena, imported.facts.path);
    check_ok(source_git_prepare(git, arena, plan, &imported.counts));
    for (int64_t scanned = 1, failed; scanned;) {
        struct source_event batch[3];
        size_t              count;
        check_ok(source_git_next(git, arena, 3, batch, &count, &scanned, &failed));
        for (size_t i = 0; i < count; i++) *VEC_PUSH(arena, &all) = batch[i];
        imported.scanned += scanned;
        imported.failed += failed;
    }
    imported.tags = source_git_tags(git, arena);
    source_git_close(git);
    imported.events = all.at;
    imported.n = all.n;
    return imported;
}

static inline struct imported import(struct history *history)
{
    return import_with(history, (struct source_git_options){0}, (struct source_git_plan){0});
}

static inline struct str hex_of(struct arena *arena, const git_oid *id)
{
    char *hex = arena_alloc(arena, GIT_OID_HEXSZ + 1);
    git_oid_fmt(hex, id);
    return str_of(hex);
}

static inline const json_value *metadata_of(struct arena *arena, const struct source_event *event)
{
    const json_value *value;
    check_ok(json_parse(arena, event->metadata, &value));
    return value;
}

/* The event of a commit; there must be exactly one. */
static inline const struct source_event *event_of(struct arena *arena, const struct imported *imported, const git_oid *id)
{
    const struct source_event *found = NULL;
    for (size_t i = 0; i < imported->n; i++) {
        const struct source_event *event = &imported->events[i];
        if (str_eq(event->source_type, STR("release.published"))) continue;
        if (!str_eq(json_str(metadata_of(arena, event), "commitSha"), hex_of(arena, id))) continue;
        check(found == NULL);
        found = event;
    }
    check(found != NULL);
    return found;
}

static inline const struct source_event *event_named(const struct imported *imported, const char *source_id)
{
    for (size_t i = 0; i < imported->n; i++)
        if (str_eq(imported->events[i].source_id, str_of(source_id))) return &imported->events[i];
    return NULL;
}

/* NULL: no such reference. label NULL: one without label. */
static inline const struct source_reference *reference(const struct source_event *event, const char *type, const char *id,
                                                const char *label)
{
    for (size_t i = 0; i < event->reference_count; i++) {
        const struct source_reference *found = &event->references[i];
        if (str_eq(found->type, str_of(type)) && str_eq(found->id, str_of(id)) &&
            str_eq(found->label, label ? str_of(label) : STR("")))
            return found;
    }
    return NULL;
}

static inline int64_t file_count(struct arena *arena, const struct source_event *event)
{
    return json_int(metadata_of(arena, event), "fileCount", -1);
}

static inline struct str paths(struct arena *arena, const struct source_event *event)
{
    struct buf text = buf_in(arena);
    for (struct json_iter it = json_iter(json_get(metadata_of(arena, event), "paths")); json_step(&it);)
        buf_printf(&text, "%s" STR_FMT, text.n ? " " : "", STR_ARG(json_str(it.value, "")));
    return buf_str(&text);
}

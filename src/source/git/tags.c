/* tags.c - which tags are releases, and which of them are new. */
#include "source/git/inside.h"

#include "base/utf8.h"

#include <stdlib.h>

static bool digits_at(struct str text, size_t *i)
{
    size_t from = *i;
    while (*i < text.n && text.s[*i] >= '0' && text.s[*i] <= '9') ++*i;
    return *i > from;
}

/* v?\d+(\.\d+)+([-+.].*)? */
static bool is_version(struct str text)
{
    size_t i = text.n && text.s[0] == 'v' ? 1 : 0;
    if (!digits_at(text, &i) || i == text.n || text.s[i++] != '.' || !digits_at(text, &i)) return false;
    while (i + 1 < text.n && text.s[i] == '.' && text.s[i + 1] >= '0' && text.s[i + 1] <= '9') {
        i++;
        (void)digits_at(text, &i);
    }
    return i == text.n || text.s[i] == '-' || text.s[i] == '+' || text.s[i] == '.';
}

/* ^(.+[@/])?version$ */
static bool names_version(struct str tag)
{
    if (is_version(tag)) return true;
    for (size_t i = 1; i < tag.n; i++)
        if ((tag.s[i] == '@' || tag.s[i] == '/') && is_version(str_skip(tag, i + 1))) return true;
    return false;
}

/* Its commit and its time: the tagger's, else the committer's. False if it leads to no commit that is here. */
static bool read_row(struct source_git *git, struct git_tag_row *row)
{
    git_odb_object    *object = NULL;
    struct object_text text;
    row->commit = row->object;
    if (libgit2.odb_read(&object, git->odb, &row->object) != 0) return false;
    row->annotated = libgit2.odb_object_type(object) == GIT_OBJECT_TAG;
    object_parse(object_raw(object), &text);
    row->time = text.committer.time;
    libgit2.odb_object_free(object);
    if (!object_peel(git, &row->commit)) return false;
    if (row->time || !(object = object_read(git, &row->commit, GIT_OBJECT_COMMIT))) return true;
    object_parse(object_raw(object), &text);
    row->time = text.committer.time;
    libgit2.odb_object_free(object);
    return true;
}

struct err *tags_read(struct source_git *git, struct arena *arena)
{
    git_reference_iterator *iterator = NULL;
    const char             *name;
    VEC(struct git_tag_row) rows = {0};
    git->tags = (struct git_tags){.released = map_create(git->arena)};
    if (git->options.no_tags) return NULL;
    if (libgit2.reference_iterator_glob_new(&iterator, git->repository, "refs/tags/*") != 0)
        return git_failure(arena, ERR_INVALID, "cannot list the tags");
    while (libgit2.reference_next_name(&name, iterator) == 0) {
        struct git_tag_row row = {.name = str_skip(str_of(name), strlen("refs/tags/"))};
        if (libgit2.reference_name_to_id(&row.object, git->repository, name) != 0 || !read_row(git, &row)) continue;
        row.release = row.annotated || names_version(row.name);
        row.name = utf8_repair(git->arena, str_dup(git->arena, row.name));
        *VEC_PUSH(git->arena, &rows) = row;
        if (row.release) *map_at(git->tags.released, (struct str){(const char *)row.commit.id, GIT_OID_RAWSZ}) = 1;
    }
    libgit2.reference_iterator_free(iterator);
    git->tags.at = rows.at;
    git->tags.n = rows.n;
    return NULL;
}

bool tags_release_at(const struct git_tags *tags, const git_oid *commit)
{
    return map_find(tags->released, (struct str){(const char *)commit->id, GIT_OID_RAWSZ}) != NULL;
}

static int by_time(const void *a, const void *b, void *rows)
{
    const struct git_tag_row *x = (struct git_tag_row *)rows + *(const uint32_t *)a;
    const struct git_tag_row *y = (struct git_tag_row *)rows + *(const uint32_t *)b;
    return x->time != y->time ? (x->time > y->time) - (x->time < y->time) : str_cmp(x->name, y->name);
}

/* Releases of maintenance branches count too, unless the caller narrowed the history to a revision or a number. */
static bool in_scope(struct source_git *git, const struct git_tag_row *row)
{
    if (git->options.since > 0 && row->time < (git->options.since + 999) / 1000) return false;
    if (git->options.max > 0) {
        uint32_t at = graph_find(&git->graph, &row->commit);
        uint32_t first = git->graph.ordered ? graph_at(&git->graph, git->graph.order[0])->rank : GRAPH_NONE;
        return at != GRAPH_NONE && graph_at(&git->graph, at)->rank != GRAPH_NONE &&
               graph_at(&git->graph, at)->rank >= first;
    }
    return !git->options.rev.n || repository_reaches(git, &row->commit);
}

struct err *tags_choose(struct source_git *git, struct arena *arena, struct str last_tags)
{
    struct git_tags  *tags = &git->tags;
    const json_value *last = NULL;
    if (last_tags.n) TRY(json_parse(arena, last_tags, &last));
    tags->wanted = NEW_ARRAY(git->arena, uint32_t, tags->n);
    for (size_t i = 0; i < tags->n; i++) {
        struct git_tag_row *row = &tags->at[i];
        struct str          seen = json_str(json_is_object(last) ? json_member(last, row->name) : NULL, "");
        if (!row->release || str_eq(seen, git_hex(arena, &row->commit)) || !in_scope(git, row)) continue;
        row->wanted = true;
        tags->wanted[tags->wanted_count++] = (uint32_t)i;
    }
    qsort_r(tags->wanted, tags->wanted_count, sizeof *tags->wanted, by_time, tags->at);
    return NULL;
}

struct str source_git_tags(const struct source_git *git, struct arena *arena)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    for (size_t i = 0; i < git->tags.n; i++) {
        if (!git->tags.at[i].release) continue;
        json_key(&out, git->tags.at[i].name);
        json_put(&out, NULL, git_hex(arena, &git->tags.at[i].commit));
    }
    json_end(&out);
    return json_out_text(&out);
}

/* details.c - the parts that events of commits and tags have in common. */
#include "source/git/inside.h"

#include "base/utf8.h"
#include "text/text.h"

enum { MAX_MERGED = 5000, MAX_PEOPLE = 30 };

struct str draft_url(struct draft *draft, const char *format, ...)
{
    va_list args;
    if (!draft->git->page.s) return (struct str){0};
    struct buf url = buf_in(draft->arena);
    va_start(args, format);
    struct str path = str_vprintf(draft->arena, format, args);
    va_end(args);
    buf_str_add(&url, draft->git->page);
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.s[i];
        if (c <= ' ' || c >= 0x7f || strchr("\"<>#?%\\^`{|}", c))
            buf_printf(&url, "%%%02X", c);
        else
            buf_char(&url, (char)c);
    }
    return buf_str(&url);
}

/* ---- references -------------------------------------------------------------------------------------------------- */

void draft_refer(struct draft *draft, const char *type, struct str id, struct str url, const char *label)
{
    *VEC_PUSH(draft->arena, &draft->references) =
        (struct source_reference){.type = str_of(type), .id = id, .url = url, .label = str_of(label)};
}

void draft_refer_branch(struct draft *draft, struct str branch)
{
    if (branch.n)
        draft_refer(draft, "branch", str_dup(draft->arena, branch), draft_url(draft, "/tree/" STR_FMT, STR_ARG(branch)),
                    NULL);
}

void draft_refer_commit(struct draft *draft, const git_oid *id, const char *label)
{
    struct str hex = git_hex(draft->arena, id);
    draft_refer(draft, "commit", hex, draft_url(draft, "/commit/" STR_FMT, STR_ARG(hex)), label);
}

void draft_refer_pull(struct draft *draft, uint32_t number, const char *label)
{
    draft_refer(draft, "pr", str_printf(draft->arena, "#%u", number), draft_url(draft, "/pull/%u", number), label);
}

/* ---- people ------------------------------------------------------------------------------------------------------ */

void draft_actor(struct draft *draft, struct str name, struct str email)
{
    struct source_actor *actor = &draft->event->actor;
    struct str           login, id;
    *actor = (struct source_actor){.name = name, .email = email};
    draft->author_email = email;
    if (text_noreply(email, &login, &id)) {
        actor->id = id.n ? id : login;
        if (login.n) {
            actor->name = login;
            json_put(&draft->metadata, "authorLogin", login);
        }
    } else if (email.n) {
        struct str address = str_lower(draft->arena, email);
        actor->id = str_printf(draft->arena, "email:" STR_FMT, STR_ARG(address));
    } else {
        actor->id = str_lower(draft->arena, name);
    }
}

static bool is_bot(const struct text_person *person)
{
    return str_ends(person->name, STR("[bot]")) || str_ends(person->login, STR("[bot]")) ||
           str_find(person->email, STR("[bot]@"), 0) != SIZE_MAX;
}

static void refer_coauthors(struct draft *draft, struct str message)
{
    struct text_people people = text_coauthors(draft->arena, message);
    bool               any = false;
    for (size_t i = 0; i < people.n && i < MAX_PEOPLE; i++) {
        const struct text_person *person = &people.at[i];
        if (is_bot(person) || str_eq_nocase(person->email, draft->author_email)) continue;
        if (!any) json_begin(&draft->metadata, "coAuthors", '[');
        any = true;
        draft_refer(draft, "assignee", person->login.n ? person->login : str_lower(draft->arena, person->email),
                    (struct str){0}, "coauthor");
        json_begin(&draft->metadata, NULL, '{');
        json_put(&draft->metadata, "name", utf8_head(person->name, 200));
        json_put(&draft->metadata, "email", person->email);
        if (person->login.n) json_put(&draft->metadata, "login", person->login);
        json_end(&draft->metadata);
    }
    if (any) json_end(&draft->metadata);
}

/* ---- issues ------------------------------------------------------------------------------------------------------ */

/* "#12" means an issue of this repository; one of another is a reference only together with its url. */
static struct str issue_url(struct draft *draft, const struct text_issue *issue)
{
    if (issue->url.n || !str_starts(issue->id, STR("#")) || !draft->git->page.s) return issue->url;
    if (!issue->repo.n) return draft_url(draft, "/issues/" STR_FMT, STR_ARG(str_skip(issue->id, 1)));
    return str_printf(draft->arena, STR_FMT "/" STR_FMT "/issues/" STR_FMT, STR_ARG(draft->git->options.github_web_url),
                      STR_ARG(issue->repo), STR_ARG(str_skip(issue->id, 1)));
}

static void refer_issues(struct draft *draft, struct str message)
{
    struct text_issues issues = text_closing_issues(draft->arena, message, draft->git->options.github_web_url);
    bool               any = false;
    for (size_t i = 0; i < issues.n && i < SOURCE_MAX_REFERENCES; i++) {
        const struct text_issue *issue = &issues.at[i];
        struct str               url = issue_url(draft, issue);
        if (issue->repo.n && !url.n) continue;
        if (!any) json_begin(&draft->metadata, "linkedIssues", '[');
        any = true;
        draft_refer(draft, "issue", issue->id, url, issue->label);
        json_begin(&draft->metadata, NULL, '{');
        json_put(&draft->metadata, "id", issue->id);
        if (issue->label) json_put(&draft->metadata, "label", issue->label);
        if (url.n) json_put(&draft->metadata, "url", url);
        json_end(&draft->metadata);
    }
    if (any) json_end(&draft->metadata);
}

void draft_mentions(struct draft *draft, struct str message)
{
    refer_issues(draft, message);
    refer_coauthors(draft, message);
}

/* ---- changed files ----------------------------------------------------------------------------------------------- */

/* Against the first parent. Where that cannot be read (the end of a shallow clone) nothing is said. */
void draft_changes(struct draft *draft, const struct commit_text *commit)
{
    struct tree_changes changes;
    git_oid             before;
    if (commit->parent_count > 0) {
        git_odb_object *parent OBJECT_SCOPE = object_read(draft->git, &commit->first_parent, GIT_OBJECT_COMMIT);
        struct object_text      text;
        if (!parent) return;
        object_parse(object_raw(parent), &text);
        if (text.tree.n != GIT_OID_HEXSZ || libgit2.oid_fromstrn(&before, text.tree.s, GIT_OID_HEXSZ) != 0) return;
    }
    trees_compare(draft->git, draft->arena, commit->parent_count ? &before : NULL, &commit->tree, &changes);
    if (!changes.known) return;
    json_put(&draft->metadata, "fileCount", changes.files);
    json_begin(&draft->metadata, "paths", '[');
    for (size_t i = 0; i < changes.path_count; i++) json_put(&draft->metadata, NULL, changes.paths[i]);
    json_end(&draft->metadata);
    if (!changes.lines_known) return;
    json_put(&draft->metadata, "additions", changes.additions);
    json_put(&draft->metadata, "deletions", changes.deletions);
}

/* ---- what a merge brought ---------------------------------------------------------------------------------------- */

void draft_remember(struct source_git *git, uint32_t at, struct str subject)
{
    struct recent_subject *recent = &git->recent[at % SUBJECT_RING];
    size_t                 n = subject.n < SUBJECT_BYTES ? subject.n : SUBJECT_BYTES;
    while (n > 0 && n < subject.n && ((unsigned char)subject.s[n] & 0xc0) == 0x80) n--;
    recent->at = at + 1;
    recent->n = (uint32_t)n;
    memcpy(recent->bytes, subject.s ? subject.s : "", n);
}

static struct str subject_of(struct draft *draft, uint32_t at)
{
    const struct recent_subject *recent = &draft->git->recent[at % SUBJECT_RING];
    struct commit_text           commit;
    if (recent->at == at + 1) return (struct str){recent->bytes, recent->n};
    if (!commit_read(draft->git, draft->arena, &graph_at(&draft->git->graph, at)->id, &commit)) return (struct str){0};
    return commit.subject;
}

/* The commits of the line that begins at `at` and came through `merge`. */
static size_t take_line(const struct graph *graph, uint32_t at, uint32_t merge, uint32_t *line, size_t room)
{
    size_t n = 0;
    while (n < room && at != GRAPH_NONE && graph_at(graph, at)->via == merge) {
        const struct graph_commit *commit = graph_at(graph, at);
        if (commit->rank == GRAPH_NONE || (n && commit->rank >= graph_at(graph, line[n - 1])->rank)) break;
        if (!commit->unreadable) line[n++] = at;
        at = commit->unreadable ? GRAPH_NONE : commit->parents[0];
    }
    return n;
}

size_t draft_merged(struct draft *draft, uint32_t merge, struct buf *body)
{
    const struct graph *graph = &draft->git->graph;
    uint32_t           *line = NEW_ARRAY(draft->arena, uint32_t, MAX_MERGED);
    size_t              n = 0;
    bool                last = false;
    for (size_t p = 1; !last; p++) {
        uint32_t parent = graph_parent(graph, graph_at(graph, merge), p, &last);
        n += take_line(graph, parent, merge, line + n, MAX_MERGED - n);
    }
    for (size_t i = 0; i < n && i < LIST_LENGTH; i++) {
        struct str subject = utf8_shorten(draft->arena, subject_of(draft, line[n - 1 - i]), TITLE_LENGTH);
        buf_printf(body, "%s- " STR_FMT, i ? "\n" : body->n ? "\n\n" : "", STR_ARG(subject));
    }
    if (n > LIST_LENGTH) buf_printf(body, "\n- (+%zu more)", n - LIST_LENGTH);
    return n;
}

bool draft_finish(struct draft *draft)
{
    struct source_git *git = draft->git;
    json_put(&draft->metadata, "repoFullName", git->facts.repo);
    if (git->facts.host.n) json_put(&draft->metadata, "host", git->facts.host);
    json_put(&draft->metadata, "origin", "git-import");
    json_end(&draft->metadata);
    draft->event->source = git->facts.source;
    draft->event->metadata = json_out_text(&draft->metadata);
    draft->event->references = draft->references.at;
    draft->event->reference_count = draft->references.n;
    return source_event_normalise(draft->arena, draft->event) == NULL;
}

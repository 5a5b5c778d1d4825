/* compose.c - events from commits and tags (spec/connector-github.md 8, the table "Found"). */
#include "source/git/inside.h"

#include "base/utf8.h"

static struct draft begin(struct source_git *git, struct arena *arena, struct source_event *event)
{
    *event = (struct source_event){0};
    struct draft draft = {.git = git, .arena = arena, .event = event, .metadata = json_out(arena)};
    json_begin(&draft.metadata, NULL, '{');
    return draft;
}

static struct str labelled(struct draft *draft, const char *label, struct str title)
{
    return str_printf(draft->arena, "[%s] " STR_FMT, label, STR_ARG(utf8_shorten(draft->arena, title, TITLE_LENGTH)));
}

static void put_if(struct draft *draft, const char *key, struct str value)
{
    if (value.n) json_put(&draft->metadata, key, value);
}

static void put_commit(struct draft *draft, const struct commit_text *commit)
{
    struct str hex = git_hex(draft->arena, &commit->id);
    json_put(&draft->metadata, "deliveryId", str_printf(draft->arena, "git-import:" STR_FMT, STR_ARG(hex)));
    json_put(&draft->metadata, "commitSha", hex);
    put_if(draft, "authorName", commit->author_name);
    put_if(draft, "authorEmail", commit->author_email);
    put_if(draft, "committerName", commit->committer_name);
}

static void refer_owner(struct draft *draft, uint32_t owner, uint32_t own)
{
    if (owner && owner != own) draft_refer_pull(draft, owner, "merges");
}

/* ---- pushes ------------------------------------------------------------------------------------------------------ */

static void push_body(struct draft *draft, const struct commit_text *commit, uint32_t at)
{
    struct buf body = buf_in(draft->arena);
    buf_str_add(&body, commit->message);
    size_t merged = commit->parent_count > 1 ? draft_merged(draft, at, &body) : 0;
    json_put(&draft->metadata, "commitCount", (int64_t)merged + 1);
    draft->event->body = buf_str(&body);
}

static bool compose_push(struct draft *draft, const struct commit_text *commit, uint32_t at)
{
    const struct graph_commit *found = graph_at(&draft->git->graph, at);
    struct source_event       *event = draft->event;
    struct str                 hex = git_hex(draft->arena, &commit->id), branch = draft->git->facts.branch;
    struct str subject = commit->subject;
    if (!subject.n) subject = str_printf(draft->arena, "Push to " STR_FMT, STR_ARG(branch.n ? branch : hex));
    put_commit(draft, commit);
    event->source_type = STR("push");
    event->source_id =
        str_printf(draft->arena, "push:" STR_FMT ":" STR_FMT, STR_ARG(draft->git->facts.repo), STR_ARG(hex));
    event->title = labelled(draft, "Push", subject);
    event->occurred_at = commit->time;
    draft_actor(draft, commit->author_name, commit->author_email);
    put_if(draft, "branch", branch);
    put_if(draft, "url", draft_url(draft, "/commit/" STR_FMT, STR_ARG(hex)));
    push_body(draft, commit, at);
    draft_refer_commit(draft, &commit->id, NULL);
    draft_refer_branch(draft, branch);
    if (found->number) draft_refer_pull(draft, found->number, "merges");
    refer_owner(draft, found->owner, found->number);
    draft_mentions(draft, commit->message);
    draft_changes(draft, commit);
    return draft_finish(draft);
}

/* ---- merged pull requests ---------------------------------------------------------------------------------------- */

struct merged_pull {
    uint32_t   number, at;
    struct str title, rest; /* of the message after the title */
    struct str owner, branch;
    bool       merges_branch;
};

/* The title of a merge is the first line of its message's body, that of a squashed commit its subject without (#N). */
static struct merged_pull read_pull(const struct commit_text *commit, struct pull_subject subject, uint32_t at)
{
    struct merged_pull pull = {.number = subject.number, .at = at, .title = subject.title, .owner = subject.owner,
                               .branch = subject.branch, .merges_branch = subject.merges_branch};
    pull.rest = str_trim(str_skip(commit->message, commit->subject.n));
    if (!pull.merges_branch) return pull;
    pull.title = object_subject(pull.rest);
    pull.rest = str_trim(str_skip(pull.rest, pull.title.n));
    if (!pull.title.n) pull.title = pull.branch;
    return pull;
}

static void pull_body(struct draft *draft, const struct commit_text *commit, const struct merged_pull *pull)
{
    struct buf body = buf_in(draft->arena);
    buf_str_add(&body, pull->title);
    if (pull->rest.n) {
        buf_char(&body, '\n');
        buf_str_add(&body, pull->rest);
    }
    if (commit->parent_count > 1) {
        size_t merged = draft_merged(draft, pull->at, &body);
        if (merged) json_put(&draft->metadata, "commitCount", (int64_t)merged);
    }
    draft->event->body = buf_str(&body);
}

/* The head branch has a page only if it is this repository's own: a fork's name is not in the history. */
static void refer_head(struct draft *draft, const struct merged_pull *pull, const git_oid *head)
{
    struct str owner = str_slice(draft->git->facts.repo, 0, str_find_char(draft->git->facts.repo, '/', 0));
    bool       own = str_eq_nocase(owner, pull->owner);
    draft_refer(draft, "branch", pull->branch,
                own ? draft_url(draft, "/tree/" STR_FMT, STR_ARG(pull->branch)) : (struct str){0}, NULL);
    draft_refer_commit(draft, head, NULL);
}

static void put_merge(struct draft *draft, const struct commit_text *commit, const struct merged_pull *pull)
{
    struct commit_text head;
    put_if(draft, "mergedByName", commit->author_name);
    put_if(draft, "mergedByEmail", commit->author_email);
    json_put(&draft->metadata, "headRef", pull->branch);
    bool has_head = commit->parent_count > 1;
    if (has_head) json_put(&draft->metadata, "headSha", git_hex(draft->arena, &commit->second_parent));
    if (has_head && commit_read(draft->git, draft->arena, &commit->second_parent, &head))
        draft_actor(draft, head.author_name, head.author_email);
    else
        draft_actor(draft, commit->author_name, commit->author_email);
}

static bool compose_pull(struct draft *draft, const struct commit_text *commit, struct merged_pull pull)
{
    struct source_event *event = draft->event;
    struct str           branch = draft->git->facts.branch;
    event->source_type = STR("pull-request.merged");
    event->source_id =
        str_printf(draft->arena, "pr:" STR_FMT "#%u:merged", STR_ARG(draft->git->facts.repo), pull.number);
    event->title = labelled(draft, "PR Merged", pull.title);
    event->occurred_at = commit->time;
    put_commit(draft, commit);
    json_put(&draft->metadata, "prNumber", pull.number);
    json_put_bool(&draft->metadata, "merged", true);
    json_put(&draft->metadata, "mergeCommitSha", git_hex(draft->arena, &commit->id));
    put_if(draft, "baseRef", branch);
    put_if(draft, "url", draft_url(draft, "/pull/%u", pull.number));
    if (pull.merges_branch)
        put_merge(draft, commit, &pull);
    else
        draft_actor(draft, commit->author_name, commit->author_email);
    pull_body(draft, commit, &pull);
    draft_refer_pull(draft, pull.number, NULL);
    if (pull.merges_branch && commit->parent_count > 1) refer_head(draft, &pull, &commit->second_parent);
    draft_refer_commit(draft, &commit->id, "merge");
    draft_refer_branch(draft, branch);
    refer_owner(draft, graph_at(&draft->git->graph, pull.at)->owner, pull.number);
    draft_mentions(draft, commit->message);
    draft_changes(draft, commit);
    return draft_finish(draft);
}

bool compose_commit(struct source_git *git, struct arena *arena, uint32_t at, struct source_event *event)
{
    const struct graph_commit *found = graph_at(&git->graph, at);
    struct commit_text         commit;
    struct draft               draft = begin(git, arena, event);
    if (!commit_read(git, arena, &found->id, &commit)) return false;
    draft_remember(git, at, commit.subject);
    struct pull_subject subject = pull_subject(commit.subject);
    if (found->pull_request && subject.number) return compose_pull(&draft, &commit, read_pull(&commit, subject, at));
    return compose_push(&draft, &commit, at);
}

/* ---- releases ---------------------------------------------------------------------------------------------------- */

static struct str without_signature(struct str message)
{
    static const char *const begins[] = {"-----BEGIN PGP SIGNATURE-----", "-----BEGIN PGP MESSAGE-----",
                                         "-----BEGIN SSH SIGNATURE-----", "-----BEGIN SIGNED MESSAGE-----"};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        for (size_t at = 0; (at = str_find(message, str_of(begins[i]), at)) != SIZE_MAX; at++)
            if (at == 0 || message.s[at - 1] == '\n') {
                message = str_slice(message, 0, at);
                break;
            }
    return str_trim(message);
}

/* The mainline since the previous release: its subjects in the body, its pull requests as references. */
static void release_content(struct draft *draft, const git_oid *from, struct buf *body)
{
    struct commit_text commit;
    git_oid            at = *from;
    for (int i = 0; i < RELEASE_LENGTH; i++) {
        if (i > 0 && tags_release_at(&draft->git->tags, &at)) return;
        if (!commit_read(draft->git, draft->arena, &at, &commit)) return;
        struct pull_subject pull = pull_subject(commit.subject);
        struct str          subject = utf8_shorten(draft->arena, commit.subject, TITLE_LENGTH);
        buf_printf(body, "%s- " STR_FMT, i ? "\n" : body->n ? "\n\n" : "", STR_ARG(subject));
        if (pull.number && !draft->git->options.no_pr) draft_refer_pull(draft, pull.number, "included");
        if (!commit.parent_count) return;
        at = commit.first_parent;
    }
}

struct tag_text {
    struct str message, name, email; /* valid UTF-8 */
};

static struct tag_text read_tag(struct draft *draft, const struct git_tag_row *tag, const struct commit_text *commit)
{
    struct tag_text text = {.name = commit->author_name, .email = commit->author_email};
    if (!tag->annotated) return text;
    git_odb_object *object OBJECT_SCOPE = object_read(draft->git, &tag->object, GIT_OBJECT_TAG);
    struct object_text      raw;
    if (!object) return text;
    object_parse(object_raw(object), &raw);
    text.message = without_signature(object_utf8(draft->arena, raw.encoding, str_slice(raw.message, 0, MAX_MESSAGE)));
    if (raw.committer.name.n || raw.committer.email.n) {
        text.name = object_utf8(draft->arena, raw.encoding, str_slice(raw.committer.name, 0, 1000));
        text.email = object_utf8(draft->arena, raw.encoding, str_slice(raw.committer.email, 0, 1000));
    }
    return text;
}

bool compose_tag(struct source_git *git, struct arena *arena, const struct git_tag_row *tag, struct source_event *event)
{
    struct draft       draft = begin(git, arena, event);
    struct commit_text commit;
    if (!commit_read(git, arena, &tag->commit, &commit)) return false;
    struct tag_text text = read_tag(&draft, tag, &commit);
    struct str      name = object_subject(text.message);
    if (!name.n) name = tag->name;
    event->source_type = STR("release.published");
    event->source_id = str_printf(arena, "release:" STR_FMT ":" STR_FMT, STR_ARG(git->facts.repo), STR_ARG(tag->name));
    event->title = labelled(&draft, "Release Published", name);
    event->occurred_at = object_time(git, tag->time);
    json_put(&draft.metadata, "deliveryId", str_printf(arena, "git-import:tag:" STR_FMT, STR_ARG(tag->name)));
    json_put(&draft.metadata, "tagName", tag->name);
    json_put(&draft.metadata, "name", utf8_head(name, SOURCE_MAX_TITLE));
    json_put(&draft.metadata, "commitSha", git_hex(arena, &tag->commit));
    put_if(&draft, "url", draft_url(&draft, "/releases/tag/" STR_FMT, STR_ARG(tag->name)));
    draft_actor(&draft, text.name, text.email);
    draft_refer_commit(&draft, &tag->commit, NULL);
    if (repository_reaches(git, &tag->commit)) draft_refer_branch(&draft, git->facts.branch);
    struct buf body = buf_in(arena);
    buf_str_add(&body, text.message);
    release_content(&draft, &tag->commit, &body);
    event->body = buf_str(&body);
    return draft_finish(&draft);
}

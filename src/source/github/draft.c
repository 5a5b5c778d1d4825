/* draft.c - the parts that GitHub's events have in common (spec/connector-github.md 3.1, 3.7). */
#include "source/github/inside.h"

#include "base/utf8.h"
#include "text/text.h"

enum { MAX_PEOPLE = 30 };

bool github_begin(struct github_draft *draft, const struct source_transform_call *call)
{
    const struct source_context *context = call->context;
    const json_value *repository = json_get(call->payload, "repository");
    struct str name = payload_text(call->arena, repository, "full_name");
    *draft = (struct github_draft){.arena = call->arena, .payload = call->payload};
    draft->outline =
        (struct outline){.arena = call->arena, .payload = call->payload, .context = context, .event = call->result};
    draft->web = context->web_url.n ? context->web_url : STR("https://github.com");
    while (str_ends(draft->web, STR("/"))) draft->web.n--;
    draft->repo = context->id_name.n ? context->id_name : name;
    draft->action = json_str(call->payload, "action");
    draft->page = payload_text(call->arena, repository, "html_url");
    if (!draft->page.n)
        draft->page =
            outline_url(call->arena, STR_FMT "/" STR_FMT, STR_ARG(draft->web), STR_ARG(name.n ? name : draft->repo));
    if (!draft->repo.n) return false;
    struct outline *outline = &draft->outline;
    call->result->source = STR("github");
    outline_begin(outline);
    outline_put(outline, "resourceId",
                context->resource_id.n ? context->resource_id : payload_text(call->arena, repository, "id"));
    outline_put(outline, "repoFullName", name.n ? name : draft->repo);
    outline_put_int(outline, "repoId", repository, "id");
    outline_put(outline, "action", draft->action);
    static const struct outline_field sender[] = {{"senderLogin", "sender.login"}, {"senderId", "sender.id"}, {0}};
    outline_put_fields(outline, call->payload, sender);
    return true;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static struct str kebab(struct arena *arena, struct str action)
{
    return str_replace(arena, action, STR("_"), STR("-"));
}

void github_name(struct github_draft *draft, const char *entity, struct str action, const char *label, struct str text)
{
    struct source_event *event = draft->outline.event;
    event->source_type = str_printf(draft->arena, "%s." STR_FMT, entity, STR_ARG(kebab(draft->arena, action)));
    event->title =
        str_printf(draft->arena, "[%s] " STR_FMT, label, STR_ARG(utf8_shorten(draft->arena, text, GITHUB_TITLE)));
}

int64_t github_seconds(const struct github_draft *draft)
{
    int64_t ms = draft->outline.event->occurred_at;
    return ms >= 0 ? ms / 1000 : (ms - 999) / 1000;
}

struct str github_suffix(struct github_draft *draft, const struct github_action *row)
{
    long long seconds = (long long)github_seconds(draft);
    struct str value = {0};
    for (int i = 0; i < 2 && !value.n && row->value[i]; i++)
        value = payload_text(draft->arena, draft->payload, row->value[i]);
    value = outline_part(value);
    switch (row->suffix) {
    case GITHUB_ONCE: return str_of(row->action);
    case GITHUB_TIMED: return str_printf(draft->arena, "%s@%lld", row->action, seconds);
    case GITHUB_VALUED: return str_printf(draft->arena, "%s:" STR_FMT "@%lld", row->action, STR_ARG(value), seconds);
    case GITHUB_REVISION: return str_printf(draft->arena, "%s:" STR_FMT, row->action, STR_ARG(value));
    }
    return (struct str){0};
}

void github_body(struct github_draft *draft, struct str title, struct str body)
{
    buf_str_add(&draft->outline.body, str_trim(title));
    body = str_trim(body);
    if (!body.n) return;
    if (draft->outline.body.n) buf_char(&draft->outline.body, '\n');
    buf_str_add(&draft->outline.body, body);
}

/* ---- people ------------------------------------------------------------------------------------------------------ */

void github_author(struct github_draft *draft, const json_value *user)
{
    static const struct outline_field fields[] = {
        {"authorLogin", "login"}, {"authorId", "id"}, {"authorType", "type"}, {0}};
    draft->outline.event->actor = (struct source_actor){.id = payload_text(draft->arena, user, "id"),
                                                        .name = json_str(user, "login"),
                                                        .avatar_url = json_str(user, "avatar_url")};
    outline_put_fields(&draft->outline, user, fields);
}

struct str github_person_url(struct github_draft *draft, const json_value *user)
{
    struct str url = json_str(user, "html_url"), login = json_str(user, "login");
    if (url.n || !login.n) return url;
    return outline_url(draft->arena, STR_FMT "/" STR_FMT, STR_ARG(draft->web), STR_ARG(login));
}

void github_refer_people(struct github_draft *draft, const char *type, const json_value *users)
{
    if (!json_is_array(users)) return;
    for (struct json_iter it = json_iter(users); json_step(&it);)
        outline_refer(&draft->outline, type, json_str(it.value, "login"), github_person_url(draft, it.value), NULL);
}

static bool is_actor(const struct source_actor *actor, const struct text_person *person)
{
    return (person->login.n && str_eq_nocase(person->login, actor->name)) ||
           (person->id.n && str_eq(person->id, actor->id)) ||
           (person->email.n && str_eq_nocase(person->email, actor->email));
}

void github_coauthors(struct github_draft *draft, struct str text)
{
    struct text_people people = text_coauthors(draft->arena, text);
    for (size_t i = 0; i < people.n && draft->coauthors.n < MAX_PEOPLE; i++) {
        const struct text_person *person = &people.at[i];
        bool leave_out = is_actor(&draft->outline.event->actor, person);
        struct str email = str_lower(draft->arena, person->email);
        for (size_t j = 0; j < draft->coauthors.n && !leave_out; j++)
            leave_out = str_eq(draft->coauthors.at[j].email, email);
        if (leave_out) continue;
        *VEC_PUSH(draft->arena, &draft->coauthors) =
            (struct source_person){.login = person->login, .id = person->id, .name = person->name, .email = email};
    }
}

void github_refer_coauthors(struct github_draft *draft)
{
    struct outline *outline = &draft->outline;
    if (!draft->coauthors.n) return;
    struct outline_point before = outline_mark(outline);
    json_begin(&outline->metadata, "coAuthors", '[');
    for (size_t i = 0; i < draft->coauthors.n; i++) {
        const struct source_person *person = &draft->coauthors.at[i];
        outline_refer(outline, "assignee", person->login.n ? person->login : person->email, (struct str){0},
                      "coauthor");
        json_begin(&outline->metadata, NULL, '{');
        outline_put(outline, "name", utf8_head(person->name, 200));
        outline_put(outline, "email", person->email);
        outline_put(outline, "login", person->login);
        json_end(&outline->metadata);
    }
    json_end(&outline->metadata);
    outline_fits(outline, before);
}

/* ---- references -------------------------------------------------------------------------------------------------- */

struct str github_page(struct github_draft *draft, const char *kind, struct str what)
{
    struct buf url = buf_in(draft->arena);
    buf_reserve(&url, draft->page.n + strlen(kind) + what.n);
    buf_str_add(&url, draft->page);
    buf_str_add(&url, str_of(kind));
    outline_escape(&url, what);
    return buf_str(&url);
}

void github_refer_number(struct github_draft *draft, const char *type, int64_t number, struct str url,
                         const char *label)
{
    if (number > 0)
        outline_refer(&draft->outline, type, str_printf(draft->arena, "#%lld", (long long)number), url, label);
}

void github_refer_labels(struct github_draft *draft, const json_value *labels)
{
    if (!json_is_array(labels)) return;
    for (struct json_iter it = json_iter(labels); json_step(&it);)
        outline_refer(&draft->outline, "label", json_str(it.value, "name"), (struct str){0}, NULL);
}

void github_refer_milestone(struct github_draft *draft, const json_value *milestone)
{
    outline_refer(&draft->outline, "project", json_str(milestone, "title"), json_str(milestone, "html_url"),
                  "milestone");
}

void github_put_milestone(struct github_draft *draft, const json_value *milestone)
{
    static const struct outline_field fields[] = {
        {"number", "number"}, {"title", "title"}, {"dueOn", "due_on"}, {"state", "state"}, {0}};
    struct outline_point before = outline_mark(&draft->outline);
    if (!json_is_object(milestone)) return;
    json_begin(&draft->outline.metadata, "milestone", '{');
    outline_put_fields(&draft->outline, milestone, fields);
    json_end(&draft->outline.metadata);
    outline_fits(&draft->outline, before);
}

struct source_closing {
    struct str         text;
    struct text_issues issues;
};

struct source_closing *source_closing_create(struct arena *arena)
{
    return NEW(arena, struct source_closing);
}

struct text_issues github_closing(struct github_draft *draft, struct str text)
{
    struct source_closing *known = draft->outline.context->closing;
    if (known && text.s && known->text.s == text.s && known->text.n == text.n) return known->issues;
    struct text_issues issues = text_closing_issues(draft->arena, text, draft->web);
    if (known) *known = (struct source_closing){text, issues};
    return issues;
}

struct str github_issue_url(struct github_draft *draft, struct str id, struct str url)
{
    if (url.n || !str_starts(id, STR("#"))) return url;
    return github_page(draft, "/issues/", str_skip(id, 1));
}

void github_refer_head(struct github_draft *draft, const json_value *pull)
{
    struct str ref = json_str(pull, "head.ref"), sha = json_str(pull, "head.sha");
    struct str home = json_str(pull, "head.repo.html_url"), url = {0};
    if (home.n)
        url = str_printf(draft->arena, STR_FMT "/tree/" STR_FMT, STR_ARG(home),
                         STR_ARG(outline_url(draft->arena, STR_FMT, STR_ARG(ref))));
    outline_refer(&draft->outline, "branch", ref, url, NULL);
    if (sha.n) outline_refer(&draft->outline, "commit", sha, github_page(draft, "/commit/", sha), NULL);
}

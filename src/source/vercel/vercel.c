/* vercel.c - deployments (spec/connectors-other.md 2.2), their routing and the integration's control events (1.3). */
#include "source/outline.h"

#include "base/utf8.h"

// clang-format off
static const struct deployment_row {
    const char *type, *label, *marker;
    bool        recurs; /* its id ends in @<createdAt> */
} deployments[] = {
    {"deployment.created",           "Deployment Started",            ">", false},
    {"deployment.succeeded",         "Deployment Succeeded",          "+", false},
    {"deployment.ready",             "Deployment Ready",              "+", false},
    {"deployment.error",             "Deployment Failed",             "x", false},
    {"deployment.canceled",          "Deployment Canceled",           "!", false},
    {"deployment.check-rerequested", "Deployment Check Re-requested", ">", true},
    {"deployment.promoted",          "Deployment Promoted",           "+", true},
    {"deployment.rollback",          "Deployment Rolled Back",        "!", true},
};

/* Where a deployment's commit is described: dep.meta of the first host that gives a sha. Only GitHub's has pages. */
static const struct git_host {
    const char *sha, *ref, *message, *author, *login, *org[2], *repo[2], *pull;
} git_hosts[] = {
    {"githubCommitSha",    "githubCommitRef",    "githubCommitMessage",    "githubCommitAuthorName",    "githubCommitAuthorLogin",
     {"githubOrg",    "githubCommitOrg"},    {"githubRepo",    "githubCommitRepo"},    "githubPrId"},
    {"gitlabCommitSha",    "gitlabCommitRef",    "gitlabCommitMessage",    "gitlabCommitAuthorName",    "gitlabCommitAuthorLogin",
     {"gitlabOrg",    "gitlabCommitOrg"},    {"gitlabRepo",    "gitlabCommitRepo"},    "gitlabPrId"},
    {"bitbucketCommitSha", "bitbucketCommitRef", "bitbucketCommitMessage", "bitbucketCommitAuthorName", "bitbucketCommitAuthorLogin",
     {"bitbucketOrg", "bitbucketCommitOrg"}, {"bitbucketRepo", "bitbucketCommitRepo"}, "bitbucketPrId"},
};
// clang-format on

struct commit_facts {
    struct str sha, ref, message, author, login, org, repo, pull;
    bool github;
};

static const struct deployment_row *row_of(struct str type)
{
    for (size_t i = 0; i < sizeof deployments / sizeof *deployments; i++)
        if (str_eq(type, str_of(deployments[i].type))) return &deployments[i];
    return NULL;
}

static void read_commit(struct arena *arena, const json_value *meta, struct commit_facts *facts)
{
    const struct git_host *host = &git_hosts[0];
    for (size_t i = sizeof git_hosts / sizeof *git_hosts; i-- > 0;)
        if (payload_text(arena, meta, git_hosts[i].sha).n) host = &git_hosts[i];
    *facts = (struct commit_facts){
        .sha = payload_text(arena, meta, host->sha),
        .ref = payload_text(arena, meta, host->ref),
        .message = payload_text(arena, meta, host->message),
        .author = payload_text(arena, meta, host->author),
        .login = payload_text(arena, meta, host->login),
        .org = PAYLOAD_FIRST(arena, meta, host->org[0], host->org[1]),
        .repo = PAYLOAD_FIRST(arena, meta, host->repo[0], host->repo[1]),
        .pull = payload_text(arena, meta, host->pull),
        .github = host == &git_hosts[0],
    };
}

/* "https://github.com/org/repo" and the rest; {NULL, 0} where the commit is not on GitHub or its place is unknown. */
static struct str github_url(struct arena *arena, const struct commit_facts *facts, const char *kind, struct str what)
{
    if (!facts->github || !facts->org.n || !facts->repo.n) return (struct str){0};
    return outline_url(arena, "https://github.com/" STR_FMT "/" STR_FMT "/%s/" STR_FMT, STR_ARG(facts->org),
                       STR_ARG(facts->repo), kind, STR_ARG(what));
}

static struct str https(struct arena *arena, struct str host)
{
    if (!host.n || str_starts(host, STR("https://"))) return host;
    return str_printf(arena, "https://" STR_FMT, STR_ARG(host));
}

struct deployment {
    const json_value *payload, *dep; /* payload.payload, payload.payload.deployment */
    struct str id, project_id, project_name, url;
    struct commit_facts commit;
};

static struct str project_id(struct arena *arena, const json_value *payload)
{
    return PAYLOAD_FIRST(arena, payload, "project.id", "projectId");
}

static struct str deployment_id(struct arena *arena, const json_value *payload)
{
    return PAYLOAD_FIRST(arena, payload, "deployment.id", "toDeploymentId");
}

static bool read_deployment(const struct source_transform_call *call, struct deployment *deployment)
{
    struct arena *arena = call->arena;
    const json_value *payload = json_get(call->payload, "payload"), *dep = json_get(payload, "deployment");
    *deployment = (struct deployment){
        .payload = payload,
        .dep = dep,
        .id = deployment_id(arena, payload),
        .project_id = project_id(arena, payload),
        .project_name = PAYLOAD_FIRST(arena, payload, "project.name", "deployment.name"),
        .url = https(arena, payload_text(arena, dep, "url")),
    };
    if (!deployment->project_name.n) deployment->project_name = call->context->project_name;
    /* A check that is requested again names no project: then it is the one of the source that matched. */
    if (!deployment->project_id.n) deployment->project_id = call->context->resource_id;
    read_commit(arena, json_get(dep, "meta"), &deployment->commit);
    return deployment->id.n && deployment->project_id.n;
}

static void refer(struct outline *outline, const struct deployment *deployment)
{
    const struct commit_facts *commit = &deployment->commit;
    struct arena *arena = outline->arena;
    outline_refer(outline, "commit", commit->sha, github_url(arena, commit, "commit", commit->sha), NULL);
    outline_refer(outline, "branch", commit->ref, github_url(arena, commit, "tree", commit->ref), NULL);
    struct str pull = github_url(arena, commit, "pull", commit->pull);
    if (commit->pull.n && pull.n)
        outline_refer(outline, "pr", str_printf(arena, "#" STR_FMT, STR_ARG(commit->pull)), pull, NULL);
    outline_refer(outline, "deployment", deployment->id, deployment->url, NULL);
    outline_refer(outline, "project", deployment->project_id, (struct str){0}, NULL);
}

static void describe(struct outline *outline, const struct deployment *deployment)
{
    const struct commit_facts *commit = &deployment->commit;
    struct arena *arena = outline->arena;
    struct str environment = payload_text(arena, deployment->payload, "target"), page;
    if (!environment.n) environment = payload_text(arena, deployment->dep, "target");
    page = payload_text(arena, deployment->payload, "links.deployment");
    outline_put(outline, "resourceId",
                outline->context->resource_id.n ? outline->context->resource_id : deployment->project_id);
    outline_put(outline, "url", page.n ? page : deployment->url);
    outline_put(outline, "webhookId", payload_text(arena, outline->payload, "id"));
    outline_put(outline, "deploymentId", deployment->id);
    outline_put(outline, "deploymentUrl", deployment->url);
    outline_put(outline, "projectId", deployment->project_id);
    outline_put(outline, "projectName", deployment->project_name);
    outline_put(outline, "teamId", PAYLOAD_FIRST(arena, deployment->payload, "team.id", "teamId"));
    outline_put(outline, "environment", environment.n ? environment : STR("preview"));
    outline_put(outline, "branch", commit->ref);
    outline_put(outline, "region", payload_text(arena, outline->payload, "region"));
    outline_put(outline, "gitCommitSha", commit->sha);
    outline_put(outline, "gitCommitRef", commit->ref);
    outline_put(outline, "gitCommitMessage", commit->message);
    outline_put(outline, "gitCommitAuthor", commit->author);
    outline_put(outline, "gitRepo", commit->repo);
    outline_put(outline, "gitOrg", commit->org);
    outline_put(outline, "readyState", payload_text(arena, deployment->dep, "readyState"));
    outline_put(outline, "errorCode", payload_text(arena, deployment->dep, "errorCode"));
}

static void write_body(struct outline *outline, const struct deployment_row *row, const struct deployment *deployment)
{
    struct arena *arena = outline->arena;
    struct str code = payload_text(arena, deployment->dep, "errorCode"),
               message = payload_text(arena, deployment->dep, "errorMessage");
    outline_line(outline, "", str_printf(arena, "%s %s", row->marker, row->label), "");
    outline_line(outline, "", deployment->commit.message, "");
    if (str_eq(str_of(row->type), STR("deployment.error")))
        outline_line(outline,
                     "Error: ", str_trim(str_printf(arena, STR_FMT " " STR_FMT, STR_ARG(code), STR_ARG(message))), "");
}

enum source_reason vercel_transform(const struct source_transform_call *call)
{
    const struct deployment_row *row = row_of(call->event);
    struct arena *arena = call->arena;
    struct source_event *event = call->result;
    struct deployment deployment;
    if (!row) return SOURCE_UNHANDLED_EVENT;
    *call->category = str_of(row->type);
    if (!read_deployment(call, &deployment)) return SOURCE_INVALID_EVENT;
    const struct commit_facts *commit = &deployment.commit;
    struct outline outline = {
        .arena = arena, .payload = call->payload, .context = call->context, .event = event, .ids_are_text = true};
    event->source = STR("vercel");
    event->source_type = str_of(row->type);
    event->occurred_at = PAYLOAD_FIRST_TIME(call->payload, call->context, "createdAt");
    event->source_id =
        str_printf(arena, "deployment:" STR_FMT ":%s", STR_ARG(deployment.id), row->type + sizeof "deployment");
    if (row->recurs)
        event->source_id =
            str_printf(arena, STR_FMT "@%lld", STR_ARG(event->source_id), (long long)event->occurred_at / 1000);
    event->title = str_printf(arena, "[%s] " STR_FMT " from " STR_FMT, row->label, STR_ARG(deployment.project_name),
                              STR_ARG(commit->ref.n ? commit->ref : STR("unknown")));
    event->actor = (struct source_actor){.id = commit->login.n ? commit->login : commit->author,
                                         .name = commit->author.n ? commit->author : commit->login};
    outline_begin(&outline);
    write_body(&outline, row, &deployment);
    describe(&outline, &deployment);
    refer(&outline, &deployment);
    return outline_finish(&outline);
}

/* ---- routing and control events ---------------------------------------------------------------------------------- */

void vercel_route(struct arena *arena, const struct source_delivery *delivery, struct source_route *route)
{
    const json_value *payload = json_get(delivery->payload, "payload");
    texts_add(arena, &route->resource_ids, project_id(arena, payload));
    route->organization_id = PAYLOAD_FIRST(arena, payload, "team.id", "teamId");
    route->deployment_id = deployment_id(arena, payload);
}

bool vercel_state(struct arena *arena, const struct source_delivery *delivery, struct source_state_change *change)
{
    const json_value *payload = json_get(delivery->payload, "payload");
    struct str project = project_id(arena, payload);
    if (str_eq(delivery->event, STR("integration-configuration.removed"))) {
        change->target = SOURCE_OF_INSTALLATION;
        change->installation_id = payload_text(arena, payload, "configuration.id");
        change->organization_id = PAYLOAD_FIRST(arena, payload, "team.id", "teamId");
        change->reason = "uninstalled";
        change->activity = "integration.disconnected";
        if (change->installation_id.n) change->effect = SOURCE_STATE_DEACTIVATE;
        return true;
    }
    bool removed = str_eq(delivery->event, STR("project.removed"));
    if (!removed && !str_eq(delivery->event, STR("project.renamed"))) return false;
    change->target = SOURCE_OF_RESOURCES;
    texts_add(arena, &change->resource_ids, project);
    change->project_name = removed ? (struct str){0} : PAYLOAD_FIRST(arena, payload, "project.name", "name");
    change->reason = removed ? "project_removed" : NULL;
    change->activity = removed ? "integration.disconnected" : "integration.metadata_updated";
    if (project.n && (removed || change->project_name.n))
        change->effect = removed ? SOURCE_STATE_DEACTIVATE : SOURCE_STATE_UPDATE;
    return true;
}

/* admin.c - upkeep for whoever may touch the data directory: POST /v1/admin/backup, /re-encrypt and /doctor, through the
 * Unix socket or in process only. */
#include "api/inbound.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

struct err *api_admin_backup(struct api_call *call)
{
    struct str file = json_str(call->body, "file");
    struct stat written;
    if (file.n == 0 || file.s[0] != '/') {
        api_issue(call, STR("file"), "Expected an absolute path");
        return api_check(call);
    }
    TRY(db_backup(call->app->db, call->arena, file));
    struct json_out out = api_answer(call);
    json_put(&out, "file", file);
    json_put(&out, "bytes", stat(str_z(call->arena, file), &written) == 0 ? (int64_t)written.st_size : 0);
    api_send_with_id(call, &out);
    return NULL;
}

/* ---- re-encrypt ---------------------------------------------------------------------------------------------------- */

struct rekeying {
    const struct api_call *call;
    struct source_resealed done;
};

static struct err *tell_rekeyed(struct db_tx *tx, void *arg)
{
    const struct rekeying *rekeying = arg;
    struct json_out        metadata = json_out(tx->arena);
    json_begin(&metadata, NULL, '{');
    json_put(&metadata, "keyId", crypto_key_id(rekeying->call->app->keys, 0));
    json_put(&metadata, "sealedAgain", rekeying->done.sealed_again);
    json_put(&metadata, "closed", rekeying->done.closed);
    json_end(&metadata);
    return api_tell(tx, rekeying->call, (struct activity){.action = STR("settings.encryption_rekeyed"),
                                                          .entity_type = STR("instance"),
                                                          .status = rekeying->done.closed ? ACTIVITY_FAILURE : ACTIVITY_SUCCESS,
                                                          .metadata = json_out_text(&metadata)});
}

/* Ids tell keys apart and nothing else about them. */
static struct err *put_keys(struct json_out *out, struct api_call *call)
{
    const struct crypto_keys *keys = call->app->keys;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    json_begin(out, "keys", '[');
    for (size_t i = 0; i < crypto_key_count(keys); i++) {
        int64_t secrets = 0;
        TRY(source_sealed_with(tx, crypto_key_id(keys, i), &secrets));
        json_begin(out, NULL, '{');
        json_put(out, "id", crypto_key_id(keys, i));
        json_put_bool(out, "encrypts", i == 0);
        json_put(out, "secrets", secrets);
        json_end(out);
    }
    json_end(out);
    return NULL;
}

struct err *api_admin_re_encrypt(struct api_call *call)
{
    struct rekeying rekeying = {.call = call};
    TRY(source_reseal(call->app->db, call->arena, call->app->keys, &rekeying.done));
    if (rekeying.done.sealed_again || rekeying.done.closed)
        TRY(db_write(call->app->db, call->arena, tell_rekeyed, &rekeying));
    struct json_out out = api_answer(call);
    json_put(&out, "sealedAgain", rekeying.done.sealed_again);
    json_put(&out, "current", rekeying.done.current);
    json_put(&out, "closed", rekeying.done.closed);
    TRY(put_keys(&out, call));
    api_send_with_id(call, &out);
    return NULL;
}

/* ---- doctor -------------------------------------------------------------------------------------------------------- */

enum health { OK, WARNING, FAILED };

struct finding {
    enum health health;
    struct str detail;
};

static struct finding ok(struct str detail) { return (struct finding){OK, detail}; }
static struct finding warning(struct str detail) { return (struct finding){WARNING, detail}; }
static struct finding broken(struct api_call *call, struct err *err)
{
    return (struct finding){FAILED, err_text(call->arena, err)};
}

static struct finding check_directory(struct api_call *call, bool fix)
{
    struct arena *arena = call->arena;
    const char *path = str_z(arena, call->app->config->data_dir);
    struct stat at;
    struct statvfs disk;
    if (stat(path, &at) != 0 || statvfs(path, &disk) != 0)
        return broken(call, err_new(arena, ERR_INTERNAL, "%s cannot be read", path));
    if (at.st_mode & 077) {
        if (!fix || chmod(path, 0700) != 0)
            return warning(str_printf(arena, "%s is open to other users (mode %03o); --fix closes it", path, at.st_mode & 0777u));
        return ok(str_printf(arena, "%s was open to other users, now 700", path));
    }
    double free_mib = (double)disk.f_bavail * (double)disk.f_frsize / (1 << 20);
    if (free_mib < 256) return warning(str_printf(arena, "%s has only %.0f MiB left on its disk", path, free_mib));
    return ok(str_printf(arena, "%s, %.1f GiB free", path, free_mib / 1024));
}

static struct finding check_database(struct api_call *call, bool fix)
{
    (void)fix;
    struct err *err = db_check(call->app->db, call->arena);
    if (err) return broken(call, err);
    return ok(str_printf(call->arena, "structure sound, version %d, %.1f MiB", db_schema_version(),
                         (double)db_size(call->app->db) / (1 << 20)));
}

static struct finding check_clock(struct api_call *call, bool fix)
{
    (void)fix;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct db_rows rows;
    int64_t newest = 0, now = time_now();
    struct err *err = db_read_begin(call->app->db, call->arena, &tx);
    if (!err) err = db_query(tx, &rows, "SELECT MAX(created_at) FROM workspace");
    if (err) return broken(call, err);
    db_next(&rows, &newest);
    err = db_done(&rows);
    if (err) return broken(call, err);
    if (newest > now + MINUTES(1))
        return warning(str_printf(call->arena, "the clock says " STR_FMT ", which is before this database was made",
                                  STR_ARG(time_format(call->arena, now))));
    return ok(time_format(call->arena, now));
}

static struct finding check_index(struct api_call *call, bool fix)
{
    (void)fix;
    struct search_state state;
    struct err *err = search_check(call->app->search, call->arena, call->workspace.id, &state);
    if (err) return broken(call, err);
    if (state.indexed != state.stored)
        return (struct finding){FAILED, str_printf(call->arena, "%lld observations, but %lld in the index",
                                                   (long long)state.stored, (long long)state.indexed)};
    return ok(str_printf(call->arena, "%lld observations, all indexed%s" STR_FMT, (long long)state.stored,
                         state.model.n ? ", vectors of " : "", STR_ARG(state.model)));
}

static struct finding check_embedding(struct api_call *call, bool fix)
{
    (void)fix;
    struct embed *embed = call->app->embed;
    struct embed_vector vector;
    if (!embed_enabled(embed)) return warning(STR("off: search goes by words only"));
    struct err *err = embed_texts(embed, call->arena, false, &STR("fix the login timeout"), 1, &vector);
    if (err) return broken(call, err);
    return ok(str_printf(call->arena, STR_FMT ", %d dimensions", STR_ARG(embed_model(embed)), embed_dim(embed)));
}

static struct err *read_month(struct api_call *call, struct llm_usage *usage)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    return llm_usage_month(tx, call->workspace.id, usage);
}

/* Asking the model would cost money: what is known without is said. Address and key stay unsaid. */
static struct finding check_models(struct api_call *call, bool fix)
{
    (void)fix;
    struct llm *llm = call->app->llm;
    struct llm_usage month;
    if (!llm_enabled(llm)) return ok(STR("none: classes and summaries go by rules"));
    struct err *err = read_month(call, &month);
    if (err) return broken(call, err);
    struct buf list = buf_in(call->arena);
    buf_str_add(&list, llm_provider(llm));
    for (int task = 0; task < LLM_TASKS; task++)
        buf_printf(&list, "%s%s by " STR_FMT, task ? ", " : ": ", llm_task_name((enum llm_task)task),
                   STR_ARG(llm_model(llm, (enum llm_task)task)));
    buf_printf(&list, "; %lld tokens this month", (long long)month.input_tokens + (long long)month.output_tokens);
    if (month.cost > 0) buf_printf(&list, ", %.2f USD", month.cost);
    if (!llm_available(llm)) {
        buf_lit(&list, "; left alone for a minute after failures in a row, rules meanwhile");
        return warning(buf_str(&list));
    }
    return ok(buf_str(&list));
}

static struct finding check_addresses(struct api_call *call, bool fix)
{
    (void)fix;
    const struct config *config = call->app->config;
    bool open = false, tls = str_starts(config->public_url, STR("https://"));
    for (size_t i = 0; i < config->listen_count; i++)
        open |= !str_starts(config->listen[i], STR("127.")) && !str_starts(config->listen[i], STR("[::1]")) &&
                !str_starts(config->listen[i], STR("localhost"));
    struct str list = str_join(call->arena, config->listen, config->listen_count, STR(", "));
    if (open && !tls)
        return warning(str_printf(call->arena, STR_FMT " is reachable from outside without TLS (public_url is not https)",
                                  STR_ARG(list)));
    return ok(str_printf(call->arena, STR_FMT ", known as " STR_FMT, STR_ARG(list), STR_ARG(config->public_url)));
}

static struct err *count_embeddings(struct api_call *call, int64_t *failed, int64_t *owed)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct db_rows rows;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(db_query(tx, &rows,
                 "SELECT COUNT(CASE WHEN embedding_status = 'failed' THEN 1 END), "
                 "COUNT(CASE WHEN embedding_due_at > 0 THEN 1 END) FROM observation WHERE workspace_id = $1",
                 call->workspace.id));
    (void)db_next(&rows, failed, owed);
    return db_done(&rows);
}

static struct finding check_vectors(struct api_call *call, bool fix)
{
    int64_t failed, owed, queued = 0;
    struct err *err = count_embeddings(call, &failed, &owed);
    if (!err && fix) err = api_retry_embeddings(call, &queued);
    if (err) return broken(call, err);
    if (queued) return ok(str_printf(call->arena, "%lld observations are sent to the provider again", (long long)queued));
    if (failed)
        return warning(str_printf(call->arena, "%lld observations were refused by the provider; --fix sends them again",
                                  (long long)failed));
    return ok(str_printf(call->arena, "%lld observations wait for theirs", (long long)owed));
}

struct folding { int64_t workspace, folded; };

static struct err *fold_log(struct db_tx *tx, void *arg)
{
    struct folding *folding = arg;
    struct index_writer writer;
    TRY(index_writer_open(tx, folding->workspace, &writer));
    TRY(index_fold(&writer, &folding->folded));
    return index_writer_close(&writer);
}

static struct finding check_log(struct api_call *call, bool fix)
{
    struct folding folding = {.workspace = call->workspace.id};
    if (!fix) return ok(STR("--fix drops rows that later ones supersede"));
    struct err *err = db_write(call->app->db, call->arena, fold_log, &folding);
    if (err) return broken(call, err);
    return ok(str_printf(call->arena, "%lld superseded rows dropped", (long long)folding.folded));
}

struct err *api_admin_doctor(struct api_call *call)
{
    static const struct {
        const char *name;
        struct finding (*check)(struct api_call *call, bool fix);
    } checks[] = {{"data directory", check_directory}, {"database", check_database}, {"clock", check_clock},
                  {"addresses", check_addresses},      {"index", check_index},       {"search log", check_log},
                  {"embedding", check_embedding},     {"vectors", check_vectors},     {"language models", check_models}};
    static const char *const words[] = {[OK] = "ok", [WARNING] = "warning", [FAILED] = "failed"};
    bool fix = json_bool(call->body, "fix", false);
    struct json_out out = api_answer(call);
    json_begin(&out, "checks", '[');
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        struct finding finding = checks[i].check(call, fix);
        json_begin(&out, NULL, '{');
        json_put(&out, "name", checks[i].name);
        json_put(&out, "status", words[finding.health]);
        json_put(&out, "detail", finding.detail);
        json_end(&out);
    }
    json_end(&out);
    api_send_with_id(call, &out);
    return NULL;
}

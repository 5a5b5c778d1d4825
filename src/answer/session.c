/* session.c - conversations: what was asked and answered, for an hour. */
#include "answer/parts.h"

enum { MOST_MESSAGES = 20, LONGEST_KEPT = 20000 /* bytes of one message */, LONGEST_ID = 64 };
#define KEPT HOURS(1)

bool answer_session_valid(struct str id)
{
    if (!id.n || id.n > LONGEST_ID) return false;
    for (size_t i = 0; i < id.n; i++) {
        char c = id.s[i], letter = c | 0x20;
        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-') return false;
    }
    return true;
}

/* ---- a row ------------------------------------------------------------------------------------------------------- */

/* A session's messages as JSON; {NULL, 0}: there is none, or it is past its time. Errors: ERR_FORBIDDEN. */
static struct err *find(struct db_tx *tx, const struct answer_session *session, struct str *messages)
{
    struct db_rows rows;
    struct str     owner;
    int64_t        used_at;
    *messages = (struct str){0};
    TRY(db_query(tx, &rows, "SELECT owner, messages, used_at FROM answer_session WHERE workspace_id = $1 AND id = $2",
                 session->workspace, session->id));
    if (!db_next(&rows, &owner, messages, &used_at)) return db_done(&rows);
    TRY(db_done(&rows));
    if (used_at <= time_now() - KEPT)
        *messages = (struct str){0};
    else if (!str_eq(owner, session->owner))
        return err_new(tx->arena, ERR_FORBIDDEN, "This answer session belongs to someone else");
    return NULL;
}

static struct err *save(struct db_tx *tx, const struct answer_session *session, struct str messages)
{
    int64_t now = time_now();
    return db_exec(tx,
                   "INSERT INTO answer_session (workspace_id, id, owner, messages, created_at, used_at) "
                   "VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (workspace_id, id) "
                   "DO UPDATE SET owner = $3, messages = $4, used_at = $5",
                   session->workspace, session->id, session->owner.s ? session->owner : STR(""), messages, now);
}

static struct err *read_messages(struct arena *arena, struct str text, struct llm_message **messages, size_t *n)
{
    const json_value *list = NULL;
    if (text.n) TRY(json_parse(arena, text, &list));
    *messages = NEW_ARRAY(arena, struct llm_message, json_count(list));
    *n = 0;
    for (struct json_iter it = json_iter(list); json_step(&it);) {
        bool user = str_eq(json_str(it.value, "role"), STR("user"));
        (*messages)[(*n)++] =
            (struct llm_message){.role = user ? LLM_USER : LLM_ASSISTANT, .text = json_str(it.value, "content")};
    }
    return NULL;
}

/* ---- open, check, forget ----------------------------------------------------------------------------------------- */

struct opening {
    const struct answer_session *session;
    struct arena                *arena;
    struct str                   messages;
};

static struct err *write_opening(struct db_tx *tx, void *arg)
{
    struct opening *opening = arg;
    struct str      messages;
    TRY(find(tx, opening->session, &messages));
    TRY(save(tx, opening->session, messages.s ? messages : STR("[]")));
    opening->messages = str_dup(opening->arena, messages);
    return NULL;
}

struct err *answer_session_open(struct answer *answer, struct arena *arena, struct answer_session session,
                                struct llm_message **history, size_t *n)
{
    struct opening opening = {.session = &session, .arena = arena};
    TRY(db_write(answer->db, arena, write_opening, &opening));
    return read_messages(arena, opening.messages, history, n);
}

static struct err *unknown(struct arena *arena)
{
    return err_new(arena, ERR_NOT_FOUND, "Answer session not found");
}

struct err *answer_session_check(struct answer *answer, struct arena *arena, struct answer_session session)
{
    struct str       messages;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(answer->db, arena, &tx));
    TRY(find(tx, &session, &messages));
    return messages.s ? NULL : unknown(arena);
}

static struct err *write_end(struct db_tx *tx, void *arg)
{
    const struct answer_session *session = arg;
    struct str                   messages;
    TRY(find(tx, session, &messages));
    if (!messages.s) return unknown(tx->arena);
    return db_exec(tx, "DELETE FROM answer_session WHERE workspace_id = $1 AND id = $2", session->workspace,
                   session->id);
}

struct err *answer_session_forget(struct answer *answer, struct arena *arena, struct answer_session session)
{
    return db_write(answer->db, arena, write_end, &session);
}

/* ---- add --------------------------------------------------------------------------------------------------------- */

struct addition {
    const struct answer_session  *session;
    const struct answer_exchange *exchange;
};

static void put_message(struct json_out *out, const struct llm_message *message)
{
    json_begin(out, NULL, '{');
    json_put(out, "role", message->role == LLM_USER ? "user" : "assistant");
    json_put(out, "content", str_slice(message->text, 0, LONGEST_KEPT));
    json_end(out);
}

static struct err *write_addition(struct db_tx *tx, void *arg)
{
    struct addition              *addition = arg;
    const struct answer_exchange *exchange = addition->exchange;
    const struct llm_message      said[] = {{.role = LLM_USER, .text = exchange->question},
                                            {.role = LLM_ASSISTANT, .text = exchange->content}};
    struct llm_message           *before;
    struct str                    messages;
    size_t                        n;
    TRY(find(tx, addition->session, &messages));
    if (!messages.s) return NULL;
    TRY(read_messages(tx->arena, messages, &before, &n));
    if (!n) before = (struct llm_message *)exchange->history, n = exchange->history_count;
    struct json_out out = json_out(tx->arena);
    json_begin(&out, NULL, '[');
    for (size_t i = n > MOST_MESSAGES - 2 ? n - (MOST_MESSAGES - 2) : 0; i < n; i++) put_message(&out, &before[i]);
    for (size_t i = 0; i < 2; i++) put_message(&out, &said[i]);
    json_end(&out);
    return save(tx, addition->session, json_out_text(&out));
}

struct err *answer_session_add(struct answer *answer, struct arena *arena, struct answer_session session,
                               struct answer_exchange exchange)
{
    struct addition addition = {&session, &exchange};
    return db_write(answer->db, arena, write_addition, &addition);
}

/* ---- past their time --------------------------------------------------------------------------------------------- */

static struct err *write_sweep(struct db_tx *tx, void *arg)
{
    TRY(db_exec(tx, "DELETE FROM answer_session WHERE used_at <= $1", time_now() - KEPT));
    return flow_complete_in(arg, tx);
}

static struct err *run_sweep(struct flow_run *run)
{
    return db_write(run->db, run->arena, write_sweep, run);
}

static const struct flow_function sweep_sessions = {.name = "answer.sessions-sweep",
                                                    .cron = "*/15 * * * *",
                                                    .at_start = true,
                                                    .run = run_sweep,
                                                    .retries = 2,
                                                    .system = true};

const struct flow_function *const answer_functions[] = {&sweep_sessions};
const size_t                      answer_function_count = sizeof answer_functions / sizeof *answer_functions;

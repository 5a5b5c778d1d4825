/* lines.c - one message a line, in on one descriptor and out on another.
 *
 * DESIGN. The calling thread reads. initialize is answered there, so that what follows it knows what was agreed on; every
 * other text becomes a task for one of a few workers, and may overtake another. Whatever is shared is under one lock:
 * writing a line, the list of tasks, the marks of cancelled requests, who listens. Reading waits while too many tasks are
 * waiting. At the end of input what was asked is still answered. Listeners are looked after by one task at a time, seldom,
 * for looking may take the data directory.
 */
#include "base/time.h"
#include "mcp/parts.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { WORKERS = 4, MOST_TASKS = 64, MOST_LISTENERS = 16, IDLE_MS = 1000, LOOK_MS = 15000, PIECE = 64 << 10 };

struct listening {
    struct listening   *next;
    struct arena       *arena; /* owns this */
    struct mcp_listener listener;
    bool                cancelled;
};

struct lines {
    const struct mcp_api *api;
    int                   in, out;
    struct workers       *workers;
    const struct mcp_revision *agreed; /* of the reading thread */
    pthread_mutex_t       lock;        /* guards what follows */
    pthread_cond_t        fewer;       /* a task has ended */
    struct task          *tasks;
    int                   task_count;
    struct listening     *listeners;
    size_t                listener_count;
    bool                  looking;
    int64_t               looked_us;
    bool                  broken;      /* nobody reads what we write */
};

struct task {
    struct arena *arena;
    struct lines *lines;
    struct task  *next;
    const struct mcp_revision *agreed; /* when it came */
    struct mcp_text text;
    atomic_bool   cancelled[MCP_LARGEST_BATCH];
};

/* ---- writing --------------------------------------------------------------------------------------------------------- */

static bool write_all(int out, struct str text)
{
    while (text.n) {
        ssize_t written = write(out, text.s, text.n);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        text = str_skip(text, (size_t)written);
    }
    return true;
}

/* Under the lock. */
static void write_now(struct lines *lines, struct arena *arena, struct str text)
{
    struct str line = str_printf(arena, STR_FMT "\n", STR_ARG(text));
    if (!lines->broken && !write_all(lines->out, line)) lines->broken = true;
}

static void write_line(struct lines *lines, struct arena *arena, struct str text)
{
    pthread_mutex_lock(&lines->lock);
    write_now(lines, arena, text);
    pthread_mutex_unlock(&lines->lock);
}

static void write_fault(struct lines *lines, int code, const char *why)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    struct mcp_fault fault = {.code = code, .message = str_of(why)};
    write_line(lines, arena, mcp_fault_text(arena, STR("null"), &fault));
}

/* ---- tasks ------------------------------------------------------------------------------------------------------------- */

static bool is_cancelled(void *arg)
{
    return atomic_load((atomic_bool *)arg);
}

struct told { struct task *task; size_t i; }; /* of which request progress is told */

static void tell(void *arg, struct str notification)
{
    const struct told *told = arg;
    if (!is_cancelled(&told->task->cancelled[told->i])) write_line(told->task->lines, told->task->arena, notification);
}

/* ---- listening --------------------------------------------------------------------------------------------------------- */

/* The greeting is written before anything is found out. False: there are too many. */
static bool add_listener(struct lines *lines, const struct mcp_listener *listener, atomic_bool *cancelled)
{
    struct arena     *arena = arena_create();
    struct listening *added = NEW(arena, struct listening);
    *added = (struct listening){.arena = arena, .listener = *listener};
    added->listener.id = str_dup(arena, listener->id);
    pthread_mutex_lock(&lines->lock);
    bool taken = lines->listener_count < MOST_LISTENERS;
    if (taken) {
        added->cancelled = is_cancelled(cancelled); /* it was, before there was a listener to mark */
        added->next = lines->listeners;
        lines->listeners = added;
        lines->listener_count++;
        write_now(lines, arena, mcp_listener_greeting(arena, listener));
    }
    pthread_mutex_unlock(&lines->lock);
    if (!taken) arena_destroy(arena);
    return taken;
}

static struct str begin_listening(struct lines *lines, struct mcp_call *call, atomic_bool *cancelled)
{
    struct mcp_listener listener;
    if (mcp_listener_begin(call, &listener)) return mcp_fault_text(call->arena, call->message->id, &call->fault);
    if (add_listener(lines, &listener, cancelled)) return STR("");
    struct mcp_fault fault = {.code = MCP_INTERNAL_ERROR, .message = STR("Too many subscriptions")};
    return mcp_fault_text(call->arena, call->message->id, &fault);
}

/* The next that is not cancelled after `after`, NULL: the first; those that are cancelled are freed on the way. */
static struct listening *next_listener(struct lines *lines, struct listening *after)
{
    pthread_mutex_lock(&lines->lock);
    struct listening **at = after ? &after->next : &lines->listeners;
    while (*at && (*at)->cancelled) {
        struct listening *gone = *at;
        *at = gone->next;
        lines->listener_count--;
        arena_destroy(gone->arena);
    }
    struct listening *next = *at;
    pthread_mutex_unlock(&lines->lock);
    return next;
}

static bool still_listens(struct lines *lines, const struct listening *listening)
{
    pthread_mutex_lock(&lines->lock);
    bool listens = !listening->cancelled;
    pthread_mutex_unlock(&lines->lock);
    return listens;
}

static void look(void *arg)
{
    struct lines *lines = arg;
    for (struct listening *each = NULL; (each = next_listener(lines, each));) {
        struct arena *arena ARENA_SCOPE = arena_create();
        struct str    news;
        if (mcp_listener_look(&each->listener, lines->api, arena, &news)) continue; /* the next time, perhaps */
        if (news.n && still_listens(lines, each)) write_line(lines, arena, news);
    }
    pthread_mutex_lock(&lines->lock);
    lines->looking = false;
    lines->looked_us = time_monotonic_us();
    pthread_mutex_unlock(&lines->lock);
}

static void look_now_and_then(struct lines *lines)
{
    pthread_mutex_lock(&lines->lock);
    bool due = lines->listeners && !lines->looking && time_monotonic_us() - lines->looked_us > LOOK_MS * 1000LL;
    if (due) lines->looking = true;
    pthread_mutex_unlock(&lines->lock);
    if (due) workers_submit(lines->workers, look, lines);
}

/* ---- answering --------------------------------------------------------------------------------------------------------- */

static struct str respond(struct task *task, size_t i)
{
    struct mcp_message *message = &task->text.at[i];
    struct told told = {task, i};
    struct mcp_call call = {.arena = task->arena, .api = task->lines->api, .message = message,
                            .stopped = is_cancelled, .stopped_arg = &task->cancelled[i], .notify = tell, .notify_arg = &told};
    int status;
    if (message->kind == MCP_MALFORMED) return mcp_fault_text(task->arena, message->id, &message->fault);
    if (message->kind != MCP_REQUEST) return STR("");
    if (!mcp_revision_of(task->arena, message, NULL, task->agreed, &call.revision, &call.fault))
        return mcp_fault_text(task->arena, message->id, &call.fault);
    if (mcp_is_listening(message, call.revision)) return begin_listening(task->lines, &call, &task->cancelled[i]);
    struct str text = mcp_respond(&call, &status);
    if (call.agreed) task->lines->agreed = call.agreed; /* only initialize does this, on the reading thread */
    return is_cancelled(&task->cancelled[i]) ? STR("") : text;
}

static void answer(struct task *task)
{
    struct str responses[MCP_LARGEST_BATCH];
    size_t     n = 0;
    for (size_t i = 0; i < task->text.n; i++) {
        struct str text = respond(task, i);
        if (text.n) responses[n++] = text;
    }
    if (n) write_line(task->lines, task->arena, mcp_text_join(task->arena, responses, n, task->text.batch));
}

static void end_task(struct task *task)
{
    struct lines *lines = task->lines;
    pthread_mutex_lock(&lines->lock);
    struct task **at = &lines->tasks;
    while (*at != task) at = &(*at)->next;
    *at = task->next;
    lines->task_count--;
    pthread_cond_signal(&lines->fewer);
    pthread_mutex_unlock(&lines->lock);
    arena_destroy(task->arena);
}

static void run_task(void *arg)
{
    answer(arg);
    end_task(arg);
}

static void begin_task(struct lines *lines, struct task *task)
{
    pthread_mutex_lock(&lines->lock);
    while (lines->task_count >= MOST_TASKS) pthread_cond_wait(&lines->fewer, &lines->lock);
    task->next = lines->tasks;
    lines->tasks = task;
    lines->task_count++;
    pthread_mutex_unlock(&lines->lock);
}

static void cancel(struct lines *lines, struct arena *arena, const struct mcp_message *notification)
{
    const json_value *id = json_get(notification->params, "requestId");
    if (!id) return;
    struct str wanted = json_text(arena, id);
    pthread_mutex_lock(&lines->lock);
    for (struct task *task = lines->tasks; task; task = task->next)
        for (size_t i = 0; i < task->text.n; i++)
            if (task->text.at[i].kind == MCP_REQUEST && str_eq(task->text.at[i].id, wanted))
                atomic_store(&task->cancelled[i], true);
    for (struct listening *each = lines->listeners; each; each = each->next)
        if (str_eq(each->listener.id, wanted)) each->cancelled = true;
    pthread_mutex_unlock(&lines->lock);
}

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

static void take_line(struct lines *lines, struct str line)
{
    if (str_trim(line).n == 0) return;
    struct arena *arena = arena_create();
    struct task  *task = NEW(arena, struct task);
    struct mcp_fault fault;
    *task = (struct task){.arena = arena, .lines = lines, .agreed = lines->agreed};
    if (!mcp_text_read(arena, str_dup(arena, line), lines->agreed->batches, &task->text, &fault)) {
        write_line(lines, arena, mcp_fault_text(arena, STR("null"), &fault));
        arena_destroy(arena);
        return;
    }
    for (size_t i = 0; i < task->text.n; i++)
        if (task->text.at[i].kind == MCP_NOTIFICATION && str_eq(task->text.at[i].method, STR("notifications/cancelled")))
            cancel(lines, arena, &task->text.at[i]);
    begin_task(lines, task);
    if (!task->text.batch && str_eq(task->text.at[0].method, STR("initialize")))
        run_task(task);
    else
        workers_submit(lines->workers, run_task, task);
}

/* Lines of at most MCP_LONGEST_MESSAGE bytes out of pieces as they come. */
struct reading {
    struct buf line;
    bool       too_long; /* the rest of this line is dropped */
};

static void end_line(struct lines *lines, struct reading *reading)
{
    if (reading->too_long) write_fault(lines, MCP_INVALID_REQUEST, "A message has at most 1048576 bytes");
    else take_line(lines, buf_str(&reading->line));
    reading->line.n = 0;
    reading->too_long = false;
}

static void take_piece(struct lines *lines, struct reading *reading, struct str piece)
{
    while (piece.n) {
        size_t end = str_find_char(piece, '\n', 0);
        struct str part = str_slice(piece, 0, end);
        if (reading->line.n + part.n > MCP_LONGEST_MESSAGE) reading->too_long = true;
        else if (!reading->too_long) buf_str_add(&reading->line, part);
        if (end == SIZE_MAX) return;
        end_line(lines, reading);
        piece = str_skip(piece, end + 1);
    }
}

/* Wait for input. True: there is some, or its end. */
static bool wait_for_input(struct lines *lines)
{
    struct pollfd watched = {.fd = lines->in, .events = POLLIN};
    if (poll(&watched, 1, IDLE_MS) != 0) return true;
    pthread_mutex_lock(&lines->lock);
    bool resting = lines->task_count == 0;
    pthread_mutex_unlock(&lines->lock);
    if (resting && lines->api->idle) lines->api->idle(lines->api->arg);
    return false;
}

static bool is_broken(struct lines *lines)
{
    pthread_mutex_lock(&lines->lock);
    bool broken = lines->broken;
    pthread_mutex_unlock(&lines->lock);
    return broken;
}

static struct err *read_lines(struct lines *lines, struct arena *arena)
{
    struct reading reading = {.line = buf_in(arena)};
    char *piece = arena_alloc_raw(arena, PIECE);
    while (!is_broken(lines)) {
        look_now_and_then(lines);
        if (!wait_for_input(lines)) continue;
        ssize_t n = read(lines->in, piece, PIECE);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_new(arena, ERR_UNAVAILABLE, "cannot read standard input: %s", strerror(errno));
        if (n == 0) {
            if (reading.line.n || reading.too_long) end_line(lines, &reading);
            return NULL;
        }
        take_piece(lines, &reading, (struct str){piece, (size_t)n});
    }
    return NULL;
}

struct err *mcp_serve_lines(struct arena *arena, const struct mcp_api *api, int in, int out)
{
    struct lines lines = {.api = api, .in = in, .out = out, .agreed = mcp_revision_agreed(STR(""), false)};
    pthread_mutex_init(&lines.lock, NULL);
    pthread_cond_init(&lines.fewer, NULL);
    lines.workers = workers_start(WORKERS, "mcp");
    struct err *err = read_lines(&lines, arena);
    workers_stop(lines.workers);
    for (struct listening *each = lines.listeners, *next; each; each = next) {
        next = each->next;
        arena_destroy(each->arena);
    }
    pthread_cond_destroy(&lines.fewer);
    pthread_mutex_destroy(&lines.lock);
    if (!err && lines.broken) err = err_new(arena, ERR_UNAVAILABLE, "cannot write to standard output");
    return err;
}

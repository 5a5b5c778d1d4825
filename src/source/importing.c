/* importing.c - an import as a job: what it is called, how far it is, how it ended (spec/connector-github.md 8). */
#include "source/inbox.h"

#include "base/time.h"
#include "flow/flow.h"

#define SILENCE HOURS(1)
#define SILENT  "No events came for an hour"

static struct flow_outside job_of(int64_t workspace, struct str public_id)
{
    return (struct flow_outside){
        .workspace = workspace, .public_id = public_id, .function = SOURCE_IMPORT, .cause = FLOW_MANUAL, .silence = SILENCE};
}

struct str source_import_title(struct arena *arena, const struct source_import *import)
{
    return str_printf(arena, "Import git " STR_FMT, STR_ARG(import->repo));
}

struct err *importing_begin(struct db_tx *tx, int64_t workspace, const struct source_import *import, struct str by)
{
    struct flow_outside job = job_of(workspace, import->public_id);
    struct json_out     data = json_out(tx->arena);
    json_begin(&data, NULL, '{');
    json_put(&data, "jobId", import->public_id);
    json_put(&data, "sourceId", import->source_public_id);
    json_put(&data, "repoFullName", import->repo);
    json_put(&data, "branch", import->branch);
    json_end(&data);
    job.title = source_import_title(tx->arena, import);
    job.source = import->source_public_id;
    job.caused_by = by;
    job.data = json_out_text(&data);
    return flow_outside_begin(tx, &job);
}

struct err *importing_tell(struct db_tx *tx, int64_t workspace, const struct source_import *import)
{
    struct flow_outside job = job_of(workspace, import->public_id);
    struct json_out     progress = json_out(tx->arena);
    json_begin(&progress, NULL, '{');
    json_put(&progress, "phase", "import");
    json_put(&progress, "total", import->scanned);
    json_put(&progress, "done", import->stored);
    json_put(&progress, "failed", import->failed);
    json_put(&progress, "skipped", import->duplicates);
    json_end(&progress);
    return flow_outside_tell(tx, &job, json_out_text(&progress));
}

static struct str output_of(struct arena *arena, const struct source_import *import)
{
    struct json_out out = json_out(arena);
    bool            completed = str_eq(import->status, STR("completed"));
    json_begin(&out, NULL, '{');
    json_put(&out, "status", !completed ? "failure" : import->failed ? "partial" : "success");
    json_put(&out, "scanned", import->scanned);
    json_put(&out, "stored", import->stored);
    json_put(&out, "duplicates", import->duplicates);
    json_put(&out, "failed", import->failed);
    json_end(&out);
    return json_out_text(&out);
}

struct err *importing_end(struct db_tx *tx, int64_t workspace, const struct source_import *import)
{
    bool       completed = str_eq(import->status, STR("completed"));
    struct str error = import->error.n || completed ? import->error : import->status;
    return flow_outside_end(tx, (struct flow_outside_end){.workspace = workspace,
                                                          .public_id = import->public_id,
                                                          .status = str_z(tx->arena, import->status),
                                                          .output = output_of(tx->arena, import),
                                                          .error = error});
}

/* ---- ended by others than who imports ------------------------------------------------------------------------------- */

struct stop {
    struct flow_run *run;
    const char      *status, *error;
    bool             stopped;
};

static struct err *write_stop(struct db_tx *tx, void *arg)
{
    struct stop      *stop = arg;
    const json_value *data = flow_data(stop->run);
    struct str        id = json_str(data, "jobId");
    if (!id.n) id = json_str(data, "event.data.jobId"); /* told of a run that was cancelled */
    return source_import_stop(tx, stop->run->workspace, id, stop->status, stop->error, &stop->stopped);
}

/* The engine comes here only when nothing has been heard, or when the job was started again. */
static struct err *end_silent(struct flow_run *run)
{
    struct stop stop = {.run = run, .status = "failed", .error = SILENT};
    TRY(db_write(run->db, run->arena, write_stop, &stop));
    const char *why = stop.stopped ? SILENT : "An import is begun where the repository is: lightfast import git";
    return flow_fail(run, err_new(run->arena, ERR_UNAVAILABLE, "%s", why));
}

static struct err *cancel(struct flow_run *run)
{
    struct stop stop = {.run = run, .status = "cancelled", .error = "The job was cancelled"};
    return db_write(run->db, run->arena, write_stop, &stop);
}

const struct flow_function source_import_git = {.name = SOURCE_IMPORT,
                                                .run = end_silent,
                                                .title = "'Import git ' + repoFullName", /* of one that is started again */
                                                .source = "sourceId",
                                                .on_cancel = cancel};

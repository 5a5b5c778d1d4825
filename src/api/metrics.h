/* metrics.h - what the files behind GET /metrics share. */
#pragma once
#include "api/inbound.h"

void metrics_describe(struct buf *out, const char *name, const char *type, const char *help);
void metrics_gauge(struct buf *out, const char *name, const char *help, long long value);

/* metrics_jobs.c: the engine, its queues and jobs, captures, workspaces. */
MUST_CHECK struct err *metrics_of_jobs(struct api_call *call, struct buf *out);

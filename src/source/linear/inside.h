/* inside.h - what the files of linear/ share: an event under construction, its types' bodies and references. */
#pragma once
#include "source/outline.h"

struct linear_draft {
    struct outline    outline;
    struct arena     *arena;
    const json_value *data; /* payload.data */
};
struct str linear_text(const struct linear_draft *draft, const char *path); /* of data */
struct str linear_cycle_name(struct arena *arena, const json_value *cycle); /* name, else "Cycle <number>" */
struct str linear_team_of(struct str identifier);                           /* "LF" of "LF-412" */

void linear_issue_body(struct linear_draft *draft);
void linear_comment_body(struct linear_draft *draft);
void linear_project_body(struct linear_draft *draft);
void linear_cycle_body(struct linear_draft *draft);
void linear_update_body(struct linear_draft *draft);

void linear_issue_refer(struct linear_draft *draft);
void linear_comment_refer(struct linear_draft *draft);
void linear_project_refer(struct linear_draft *draft);
void linear_cycle_refer(struct linear_draft *draft);
void linear_update_refer(struct linear_draft *draft);

/* The metadata of a type. */
void linear_put(struct linear_draft *draft, const char *type);

/* asking.h - answers in the making: POST /v1/answer and its chat form (search-api.md 8); not for other rooms.
 *
 * ask_read.c reads the question, asking.c keeps what is under way, ask_forms.c writes the three forms of an answer,
 * ask.c has the routes.
 */
#pragma once
#include "answer/answer.h"
#include "api/call.h"

#include <stdatomic.h>

enum { ASKING_READERS = 8, ASKING_LOG = 2 << 20 /* bytes that a reader who comes back can be sent */ };

struct asking;
/* What a form tells, event by event; all of them write through asking_tell. */
struct ask_form {
    void (*start)(struct asking *asking);
    void (*step)(struct asking *asking, const struct answer_step *step);
    void (*thought)(struct asking *asking, struct str text);
    void (*sources)(struct asking *asking, const struct answer_citation *citations, size_t n);
    void (*text)(struct asking *asking, struct str piece);
    void (*done)(struct asking *asking, const struct answer_result *result);
    void (*failed)(struct asking *asking, const struct err *err);
};
extern const struct ask_form ask_events, ask_chat;

/* One answer from its question to its end. Those with a form have memory of their own and outlive the request. */
struct asking {
    struct asking         *next;
    struct api_call       *call;
    struct answer_question question;
    struct answer_session  session;
    bool                   wants_stream;
    const struct ask_form *form;          /* NULL: one JSON object, in the request */
    bool                   detached;      /* goes on when its readers leave */
    struct api_call       *heard_at_once; /* gets all that was told as its reply; NULL: readers get it as it comes */
    atomic_bool            stop;

    /* under the lock of the registry */
    struct buf         log; /* all that was told, for readers who come later */
    bool               too_long;
    struct net_stream *readers[ASKING_READERS];
    size_t             reader_count;

    /* of the forms */
    int64_t events; /* told so far */
    int64_t thoughts;
    bool    text_open, step_over;
};

/* The question of a request, or what is wrong with it: into the call's memory. */
MUST_CHECK struct err *asking_read(struct api_call *call, struct asking *asking);
struct answer_session  asking_session(const struct api_call *call, struct str id);

/* ---- what is under way (asking.c) -------------------------------------------------------------------------------- */

/* Take a place and open the session. Errors: ERR_RATE_LIMITED (too many in this workspace), ERR_CONFLICT (the session
 * is being answered), ERR_FORBIDDEN. asking_end gives the place back and closes what reads. */
MUST_CHECK struct err *asking_begin(struct asking *asking);
/* Ask, remember the exchange, note the activity. */
MUST_CHECK struct err *asking_answer(struct asking *asking, struct answer_result *result);
void                   asking_end(struct asking *asking);

void asking_tell(struct asking *asking, struct str text);
/* A copy with memory of its own, its call's arena; asking_run, on a worker, ends and frees it. */
MUST_CHECK struct err *asking_keep(struct asking *asking, const struct ask_form *form, struct asking **copy);
void                   asking_run(void *asking);
/* Let the reply read what is told from now on, and what was told. False: nothing runs, or it cannot be followed any
 * more. Errors: ERR_FORBIDDEN. */
MUST_CHECK struct err *asking_follow(struct api_call *call, struct answer_session session, bool *follows);
/* Nobody wants the answer of this session any more. */
void asking_stop(struct api_call *call, struct answer_session session);

/* ---- forms (ask_forms.c) ----------------------------------------------------------------------------------------- */

/* The one JSON object, as the call's reply. */
void ask_reply(struct asking *asking, const struct answer_result *result);

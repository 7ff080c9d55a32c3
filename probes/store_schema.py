"""The run store's tables, step by step: a new file takes every step, an older one those it has not taken yet.

Plain tables with plain names, for people will open the file with other tools too. Times are UTC. Texts of models,
servers and users are kept byte for byte, control characters included: the store is the record, and what shows a text
makes it harmless (`cli.visible`; JSON spells controls, CSV holds them raw).

A step that has been released is never edited: a change to the tables is a further step.
"""

import sqlite3

APPLICATION_ID = 0x6E64_6C70  # "ndlp": says whose file this is

_STEP_1 = (
    """create table blobs (                  -- every long text once, by its content
        hash text primary key,               -- 'b1:' and the SHA-256 of the text
        codec text not null check (codec in ('raw', 'zlib')),
        body blob not null
    ) strict""",
    """create table runs (                   -- one experiment asked for, for all its models
        id text primary key,
        probe text not null,
        spec_json text not null,             -- the experiment after its defaults
        models_json text not null,           -- [{"name": ..., "identity": {...}}, ...] in the order asked for
        plan_hash text not null,             -- the same hash: the same experiment, trial for trial
        code_version text not null,
        created_utc text not null
    ) strict""",
    """create table trials (                 -- one exact request; shared by every run that wants it
        id text primary key,                 -- 't1:' and the SHA-256 of request_json
        request_json text not null,          -- canonical identity: model, prompt hash, sampling, sample, continuation
        prompt_hash text not null            -- of the messages as sent; --keep-prompts keeps them as blob 'b1:' + this
    ) strict""",
    """create table run_trials (
        run_id text not null references runs,
        position integer not null,           -- place in the plan; the order of calls is another matter
        model text not null,                 -- the name it was asked for by
        block integer not null,
        trial_id text not null references trials,
        cell_json text not null,             -- arm, length, depth, ...: what tables group by
        primary key (run_id, position)
    ) strict, without rowid""",
    """create table workers (                -- processes that have ever called a model
        id text primary key,                 -- host:pid:nonce
        host text not null,
        pid integer not null,
        lease_until real not null            -- seconds since 1970; refreshed while alive, expired means dead
    ) strict""",
    """create table attempts (               -- every call, written before it is sent
        id integer primary key,
        trial_id text not null references trials,
        run_id text not null references runs,
        worker text not null references workers,
        status text not null check (status in ('started', 'ok', 'error', 'lost')),
        started_utc text not null,
        latency_s real,
        error_kind text,
        error_text text,                     -- redacted
        request_id text,
        cost_nano_usd integer,               -- null: the price is unknown, never 0
        price_json text                      -- the prices that were used
    ) strict""",
    "create unique index one_open_attempt on attempts (trial_id) where status = 'started'",
    "create index attempts_by_trial on attempts (trial_id, id)",
    "create index attempts_by_run on attempts (run_id)",
    """create table completions (            -- at most one answer to a trial
        trial_id text primary key references trials,
        attempt_id integer not null references attempts,
        text_hash text not null references blobs,
        stop_reason text not null,
        served_model text,
        input_tokens integer,
        output_tokens integer,
        cache_read_tokens integer,
        cache_write_tokens integer,
        reasoning_tokens integer,
        prompt_tokens_evaluated integer,
        first_token_s real,
        logprobs_json text,                  -- [[token, natural logarithm or null for minus infinity], ...]
        response_hash text references blobs  -- the whole reply
    ) strict""",
    """create table scores (                 -- scoring again never calls a model again
        trial_id text not null references completions,
        scorer text not null,                -- 'name@version'
        outcome text not null check (outcome in ('hit', 'miss', 'refusal', 'truncated')),
        value real,                          -- null: could not be judged
        detail_json text not null,
        primary key (trial_id, scorer)
    ) strict, without rowid""",
)
_STEP_2 = (
    # What the call may cost at the most, until it is known what it did cost; null: unknown, or it was not billed.
    "alter table attempts add column reserved_nano_usd integer",
    # Parameters that the model does not take and that were left out: ["temperature", ...].
    "alter table completions add column dropped_json text",
    # Of a run with --fresh: how far its sample numbers moved on. Null: earlier answers are used.
    "alter table runs add column fresh_offset integer",
    # Before this step there were only models on the user's own machine, whose calls cost nothing.
    "update attempts set cost_nano_usd = 0 where status = 'ok'",
    "update attempts set reserved_nano_usd = 0 where status in ('started', 'lost')",
)
STEPS = (_STEP_1, _STEP_2)
VERSION = len(STEPS)


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Take the steps that the file lacks, all or none; the connection is in no transaction, before and after.

    Who comes second waits for the first one's lock, and then finds nothing left to do.
    """
    connection.execute("begin immediate")  # also finds out now, not after the first call, that nothing can be written
    try:
        (taken,) = connection.execute("pragma user_version").fetchone()
        for statements in STEPS[taken:]:
            for statement in statements:
                connection.execute(statement)
        if taken < VERSION:
            connection.execute(f"pragma application_id = {APPLICATION_ID}")
            connection.execute(f"pragma user_version = {VERSION}")
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise

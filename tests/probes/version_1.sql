BEGIN TRANSACTION;
CREATE TABLE attempts (               -- every call, written before it is sent
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
    ) strict;
INSERT INTO "attempts" VALUES(1,'t1:9e54ee1a16257f0eb9a39449fa1075b3815c2e9888a4abdfa7db57120df19e76','20261122-101500-3f2a','elsewhere:1:00000000','ok','2026-11-22T10:15:00.000Z',0.1234567,NULL,NULL,'req_1',NULL,NULL);
INSERT INTO "attempts" VALUES(2,'t1:b1af87a5ff7da0345a3fedc914e62324e6512e1f4ee69615b024aaae7e397b24','20261122-101500-3f2a','elsewhere:1:00000000','ok','2026-11-22T10:15:00.000Z',0.0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES(3,'t1:03e1aaeaf32814bf4cfb9a022d30e0b3d9647edd6224385c3221be51bb6d47b7','20261122-101500-3f2a','elsewhere:1:00000000','error','2026-11-22T10:15:00.000Z',NULL,'rejected','too odd',NULL,NULL,NULL);
INSERT INTO "attempts" VALUES(4,'t1:03e1aaeaf32814bf4cfb9a022d30e0b3d9647edd6224385c3221be51bb6d47b7','20261122-101500-3f2a','elsewhere:1:00000000','lost','2026-11-22T10:15:00.000Z',NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE blobs (                  -- every long text once, by its content
        hash text primary key,               -- 'b1:' and the SHA-256 of the text
        codec text not null check (codec in ('raw', 'zlib')),
        body blob not null
    ) strict;
INSERT INTO "blobs" VALUES('b1:afc4557fe912535f62d45dde6be1cd68678f4022d82f85dcbd5046a3165d091a','raw',X'496E2074686520626F6174686F7573652E');
INSERT INTO "blobs" VALUES('b1:c84d125f122ccd5ead965ef87a592e910fd3c8af4479e4504214fcf8a27d9753','zlib',X'789CAB56CA4C51B25250AA50D251504ACEC8CF4C4E2D06F2A30D636B01693D07D1');
INSERT INTO "blobs" VALUES('b1:c1292ce61b039680355b8cf1d2b3b07cb64f6164b9d9a2121638fe3497e83739','raw',X'4F6E20746865207368656C662E');
CREATE TABLE completions (            -- at most one answer to a trial
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
    ) strict;
INSERT INTO "completions" VALUES('t1:9e54ee1a16257f0eb9a39449fa1075b3815c2e9888a4abdfa7db57120df19e76',1,'b1:afc4557fe912535f62d45dde6be1cd68678f4022d82f85dcbd5046a3165d091a','max_tokens','one-2026-01-01',812,7,700,0,3,112,0.05,'[[" In", -0.25], ["\ud800", null]]','b1:c84d125f122ccd5ead965ef87a592e910fd3c8af4479e4504214fcf8a27d9753');
INSERT INTO "completions" VALUES('t1:b1af87a5ff7da0345a3fedc914e62324e6512e1f4ee69615b024aaae7e397b24',2,'b1:c1292ce61b039680355b8cf1d2b3b07cb64f6164b9d9a2121638fe3497e83739','stop',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE run_trials (
        run_id text not null references runs,
        position integer not null,           -- place in the plan; the order of calls is another matter
        model text not null,                 -- the name it was asked for by
        block integer not null,
        trial_id text not null references trials,
        cell_json text not null,             -- arm, length, depth, ...: what tables group by
        primary key (run_id, position)
    ) strict, without rowid;
INSERT INTO "run_trials" VALUES('20261122-101500-3f2a',0,'fake/one',0,'t1:9e54ee1a16257f0eb9a39449fa1075b3815c2e9888a4abdfa7db57120df19e76','{"arm":"arm 0"}');
INSERT INTO "run_trials" VALUES('20261122-101500-3f2a',1,'fake/one',0,'t1:b1af87a5ff7da0345a3fedc914e62324e6512e1f4ee69615b024aaae7e397b24','{"arm":"arm 1"}');
INSERT INTO "run_trials" VALUES('20261122-101500-3f2a',2,'fake/one',1,'t1:03e1aaeaf32814bf4cfb9a022d30e0b3d9647edd6224385c3221be51bb6d47b7','{"arm":"arm 2"}');
INSERT INTO "run_trials" VALUES('20261122-101600-77c1',0,'fake/one',0,'t1:9e54ee1a16257f0eb9a39449fa1075b3815c2e9888a4abdfa7db57120df19e76','{"arm":"arm 0"}');
INSERT INTO "run_trials" VALUES('20261122-101600-77c1',1,'fake/one',0,'t1:b1af87a5ff7da0345a3fedc914e62324e6512e1f4ee69615b024aaae7e397b24','{"arm":"arm 1"}');
CREATE TABLE runs (                   -- one experiment asked for, for all its models
        id text primary key,
        probe text not null,
        spec_json text not null,             -- the experiment after its defaults
        models_json text not null,           -- [{"name": ..., "identity": {...}}, ...] in the order asked for
        plan_hash text not null,             -- the same hash: the same experiment, trial for trial
        code_version text not null,
        created_utc text not null
    ) strict;
INSERT INTO "runs" VALUES('20261122-101500-3f2a','needle','{"blocks":1,"seed":1}','[{"identity":{"adapter":"fake/1","model":"one"},"name":"fake/one"}]','cebc75bf5beea4150e3aca99728717bca5b299dd35a45d2877c10995e6a497a4','0.1.0','2026-11-22T10:15:00.000Z');
INSERT INTO "runs" VALUES('20261122-101600-77c1','needle','{"blocks":1,"seed":1}','[{"identity":{"adapter":"fake/1","model":"one"},"name":"fake/one"}]','73a4dee4993c4e1efcbb2cd4e1cf689e9147f025fbf4e945e4b8bcbc0964be18','0.1.0','2026-11-22T10:15:00.000Z');
CREATE TABLE scores (                 -- scoring again never calls a model again
        trial_id text not null references completions,
        scorer text not null,                -- 'name@version'
        outcome text not null check (outcome in ('hit', 'miss', 'refusal', 'truncated')),
        value real,                          -- null: could not be judged
        detail_json text not null,
        primary key (trial_id, scorer)
    ) strict, without rowid;
INSERT INTO "scores" VALUES('t1:9e54ee1a16257f0eb9a39449fa1075b3815c2e9888a4abdfa7db57120df19e76','match@1','hit',1.0,'{}');
CREATE TABLE trials (                 -- one exact request; shared by every run that wants it
        id text primary key,                 -- 't1:' and the SHA-256 of request_json
        request_json text not null,          -- canonical identity: model, prompt hash, sampling, sample, continuation
        prompt_hash text not null            -- of the messages as sent
    ) strict;
INSERT INTO "trials" VALUES('t1:9e54ee1a16257f0eb9a39449fa1075b3815c2e9888a4abdfa7db57120df19e76','{"max_tokens":8,"model":{"adapter":"fake/1","model":"one"},"prompt":"de47f2aedf1fb89ce513cb67123db560419a3760038340119f3761452a946ad9","sample":0}','de47f2aedf1fb89ce513cb67123db560419a3760038340119f3761452a946ad9');
INSERT INTO "trials" VALUES('t1:b1af87a5ff7da0345a3fedc914e62324e6512e1f4ee69615b024aaae7e397b24','{"max_tokens":8,"model":{"adapter":"fake/1","model":"one"},"prompt":"9167d515f031eddab07cb5348c041a0d4a7737b5929dcdc25d5e762b3808b10f","sample":0}','9167d515f031eddab07cb5348c041a0d4a7737b5929dcdc25d5e762b3808b10f');
INSERT INTO "trials" VALUES('t1:03e1aaeaf32814bf4cfb9a022d30e0b3d9647edd6224385c3221be51bb6d47b7','{"max_tokens":8,"model":{"adapter":"fake/1","model":"one"},"prompt":"4e6eb0a21ccfba291cece1d3e8714c05fa9f32d40252781f58eafd2f194a97ae","sample":0}','4e6eb0a21ccfba291cece1d3e8714c05fa9f32d40252781f58eafd2f194a97ae');
CREATE TABLE workers (                -- processes that have ever called a model
        id text primary key,                 -- host:pid:nonce
        host text not null,
        pid integer not null,
        lease_until real not null            -- seconds since 1970; refreshed while alive, expired means dead
    ) strict;
INSERT INTO "workers" VALUES('elsewhere:1:00000000','elsewhere',31319,0.0);
CREATE UNIQUE INDEX one_open_attempt on attempts (trial_id) where status = 'started';
CREATE INDEX attempts_by_trial on attempts (trial_id, id);
CREATE INDEX attempts_by_run on attempts (run_id);
COMMIT;
PRAGMA application_id = 1852075120;
PRAGMA user_version = 1;

-- A run of a target that was due, asked for, or made at a checkpoint; what is delivered as it changes has no row. Without an
-- ending it goes on, or its process was ended.
CREATE TABLE sync_runs (
    id          uuid NOT NULL CONSTRAINT sync_runs_pkey PRIMARY KEY,
    owner       text NOT NULL DEFAULT current_user,
    target      text NOT NULL CONSTRAINT sync_runs_target_length CHECK (length(target) BETWEEN 1 AND 500),
    why         text NOT NULL CONSTRAINT sync_runs_why CHECK (why IN ('periodic', 'catch_up', 'checkpoint', 'manual')),
    worker      text NOT NULL,  -- the process that made it: another one's is not made twice
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at    timestamptz,
    ending      text,
    delivered   bigint,
    refused     bigint,
    waiting     bigint,  -- changes that were left
    error_code  text,
    error       text
);
CREATE INDEX sync_runs_newest ON sync_runs (owner, started_at DESC);

ALTER TABLE sync_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE sync_runs FORCE ROW LEVEL SECURITY;
CREATE POLICY sync_runs_own ON sync_runs USING (owner = current_user) WITH CHECK (owner = current_user);

-- read_owner --
-- Whose runs they are; one name.
SELECT current_user::text;

-- begin_run --
-- Note that a run begins, while its lock is held: one of the same target without an ending was interrupted. $1 id, $2 target,
-- $3 why, $4 worker, $5 days that runs are kept, $6 an interval in which no other worker made a scheduled one, or NULL; (id),
-- or no row where one did.
WITH interrupted AS (
    UPDATE sync_runs SET ending = 'interrupted' WHERE owner = current_user AND target = $2 AND ending IS NULL
), old AS (
    DELETE FROM sync_runs
    WHERE owner = current_user AND ending IS NOT NULL AND started_at < clock_timestamp() - make_interval(days => $5)
)
INSERT INTO sync_runs (id, target, why, worker)
SELECT $1::uuid, $2::text, $3::text, $4::text
WHERE NOT EXISTS (
    SELECT FROM sync_runs
    WHERE owner = current_user AND target = $2 AND why IN ('periodic', 'catch_up') AND ending = 'done' AND worker <> $4
        AND started_at BETWEEN clock_timestamp() - $6::interval AND clock_timestamp()
)
RETURNING id;

-- end_run --
-- Note what became of a run. $1 id, $2 ending, $3 delivered, $4 refused, $5 waiting, $6 code, $7 error.
UPDATE sync_runs SET ended_at = clock_timestamp(), ending = $2, delivered = $3, refused = $4, waiting = $5, error_code = $6,
    error = $7
WHERE id = $1;

-- list_runs --
-- The caller's runs, newest first. $1 target or NULL, $2 how many; rows of `SyncRun`. One without an ending goes on as long as
-- the lock of its target is held.
SELECT id, target, why, worker, started_at, ended_at, delivered, refused, waiting, error_code, error,
       coalesce(ending, CASE WHEN EXISTS (
           SELECT FROM pg_locks l
           WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND (l.classid::bigint << 32) | l.objid::bigint
                   = hashtextextended('sync run ' || r.owner || ' ' || r.target, 0)
       ) THEN 'running' ELSE 'interrupted' END) AS ending
FROM sync_runs r
WHERE owner = current_user AND ($1::text IS NULL OR target = $1)
ORDER BY started_at DESC, id DESC LIMIT $2;

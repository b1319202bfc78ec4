-- put_execution --
-- Note an execution or what became of it. One that has finished ($11: the statuses that are final) gives way to a later
-- start, and to another end of the same start that is not earlier; a crash to each, and it to no crash. $1 id, $2 scope, $3 execution id, $4 workflow, $5 adapter,
-- $6 repositories, $7 status, $8 result, $9 error, $10 started, $11 final, $12 finished, $13 metadata; (id, whether it
-- was noted), or no row where another writer made it after the snapshot.
WITH put AS (
    INSERT INTO workflow_executions AS known (id, scope_no, execution_id, workflow_id, adapter, repositories, status,
                                              result, error, started_at, finished_at, metadata)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $12, $13)
    ON CONFLICT ON CONSTRAINT workflow_executions_identity DO UPDATE SET
        workflow_id = excluded.workflow_id, repositories = excluded.repositories, status = excluded.status,
        result = excluded.result, error = excluded.error, started_at = excluded.started_at,
        finished_at = excluded.finished_at, metadata = excluded.metadata
    WHERE known.status <> ALL ($11::text[]) OR excluded.started_at > known.started_at
        OR excluded.started_at = known.started_at AND excluded.status = ANY ($11)
            AND (known.status = 'crashed'
                 OR excluded.status <> 'crashed' AND coalesce(excluded.finished_at >= known.finished_at, true))
    RETURNING id
)
SELECT id, true AS noted FROM put
UNION ALL
SELECT id, false FROM workflow_executions
WHERE scope_no = $2 AND adapter = $5 AND execution_id = $3 AND NOT EXISTS (SELECT FROM put);

-- link_execution --
-- Point an execution to the memory of its end. $1 id, $2 memory id; no rows.
UPDATE workflow_executions SET memory_id = $2 WHERE id = $1;

-- find_executions --
-- Executions, newest first. $1 workflow, $2 repository, $3 status, $4 adapter, $5 project, $6 since, $7 until, $8 ids of
-- memories, each or null, $9 limit; rows of `Execution`.
SELECT e.id, e.execution_id, e.workflow_id, e.adapter, e.repositories, e.status, e.result, e.error, e.started_at,
       e.finished_at, e.duration, e.memory_id, e.metadata, e.created_at, p.name AS project
FROM workflow_executions e JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
WHERE ($1::text IS NULL OR e.workflow_id = $1) AND ($2::text IS NULL OR $2 = ANY (e.repositories))
    AND ($3::text IS NULL OR e.status = $3) AND ($4::text IS NULL OR e.adapter = $4)
    AND ($5::text IS NULL OR p.name = $5)
    AND ($6::timestamptz IS NULL OR coalesce(e.finished_at, e.started_at) >= $6)
    AND ($7::timestamptz IS NULL OR coalesce(e.finished_at, e.started_at) < $7)
    AND ($8::uuid[] IS NULL OR e.memory_id = ANY ($8))
ORDER BY e.started_at DESC, e.id DESC LIMIT $9;

-- get_execution --
-- The newest execution of an id. $1 its id in its adapter, $2 its own or that of an alias, whole or the last 8 digits; a
-- row of `Execution`.
SELECT e.id, e.execution_id, e.workflow_id, e.adapter, e.repositories, e.status, e.result, e.error, e.started_at,
       e.finished_at, e.duration, e.memory_id, e.metadata, e.created_at, p.name AS project
FROM workflow_executions e JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
WHERE e.execution_id = $1 OR e.id::text = $2 OR right(e.id::text, 8) = $2
    OR e.id IN (SELECT a.execution_id FROM aliases a WHERE $2 IN (a.id::text, right(a.id::text, 8)))
ORDER BY e.started_at DESC LIMIT 1;

-- count_workflows --
-- How workflows went. $1 since or null, $2 limit; rows of `WorkflowCounts`.
SELECT workflow_id, adapter, count(*) AS runs,
       count(*) FILTER (WHERE status = 'completed') AS completed,
       count(*) FILTER (WHERE status = 'failed') AS failed,
       count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
       count(*) FILTER (WHERE status = 'crashed') AS crashed,
       count(*) FILTER (WHERE status IN ('pending', 'running')) AS running,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM duration)::float8) AS median_s,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM duration)::float8) AS p95_s,
       (array_agg(status ORDER BY started_at DESC))[1] AS last_status, max(started_at) AS last_started_at
FROM workflow_executions
WHERE $1::timestamptz IS NULL OR coalesce(finished_at, started_at) >= $1
GROUP BY workflow_id, adapter ORDER BY runs DESC, workflow_id, adapter LIMIT $2;

-- find_known_executions --
-- One's own executions by their ids in an adapter. $1 adapter, $2 ids; rows of `KnownExecution`.
SELECT e.execution_id, p.name AS project, e.status, e.finished_at, e.repositories, e.result
FROM workflow_executions e JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
WHERE e.adapter = $1 AND e.execution_id = ANY ($2::text[]) AND s.owner = current_user;

-- add_metric --
-- Note a measurement or a sample, unless the row of its hour counts it already. $1 id, $2 scope, $3 source, $4 name,
-- $5 value, $6 unit, $7 labels, $8 time, $9 figures, $10 text; no rows.
INSERT INTO performance_metrics (id, scope_no, source, name, value, unit, labels, recorded_at, figures, text)
SELECT $1::uuid, $2::integer, $3::text, $4::text, $5::float8, $6::text, $7::jsonb, $8::timestamptz, $9::jsonb, $10::text
WHERE NOT EXISTS (
    SELECT FROM performance_metrics
    WHERE source = $3 AND recorded_at = date_bin('1 hour', $8, 'epoch') AND scope_no = $2 AND name = $4
        AND strpos(labels #>> '{rolled_up,ids}', right($1::text, 8)) > 0)
ON CONFLICT (id) DO NOTHING;

-- list_metrics --
-- Measurements and samples, newest first. $1 name or null, $2 since or null, $3 limit, $4 source or null; rows of
-- `metric`.
SELECT source, name, value, unit, figures, text, labels, recorded_at FROM performance_metrics
WHERE ($1::text IS NULL OR name = $1) AND ($2::timestamptz IS NULL OR recorded_at >= $2)
    AND ($4::text IS NULL OR source = $4)
ORDER BY recorded_at DESC LIMIT $3;

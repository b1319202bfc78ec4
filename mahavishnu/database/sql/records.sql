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

-- list_executions --
-- Executions, newest first. $1 workflow or null, $2 limit; rows of `execution`.
SELECT id, execution_id, workflow_id, adapter, repositories, status, result, error, started_at, finished_at, duration,
       memory_id, metadata, created_at
FROM workflow_executions WHERE ($1::text IS NULL OR workflow_id = $1) ORDER BY started_at DESC LIMIT $2;

-- find_known_executions --
-- One's own executions by their ids in an adapter. $1 adapter, $2 ids; rows of `KnownExecution`.
SELECT e.execution_id, p.name AS project, e.status, e.finished_at, e.repositories, e.result
FROM workflow_executions e JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
WHERE e.adapter = $1 AND e.execution_id = ANY ($2::text[]) AND s.owner = current_user;

-- add_metric --
-- Note a measurement or a sample. $1 id, $2 scope, $3 source, $4 name, $5 value, $6 unit, $7 labels, $8 time, $9 figures,
-- $10 text; no rows.
INSERT INTO performance_metrics (id, scope_no, source, name, value, unit, labels, recorded_at, figures, text)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING;

-- list_metrics --
-- Measurements and samples, newest first. $1 name or null, $2 since or null, $3 limit, $4 source or null; rows of
-- `metric`.
SELECT source, name, value, unit, figures, text, labels, recorded_at FROM performance_metrics
WHERE ($1::text IS NULL OR name = $1) AND ($2::timestamptz IS NULL OR recorded_at >= $2)
    AND ($4::text IS NULL OR source = $4)
ORDER BY recorded_at DESC LIMIT $3;

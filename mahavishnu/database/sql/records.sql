-- put_execution --
-- Note an execution or what became of it. $1 id, $2 scope, $3 execution id, $4 workflow, $5 adapter, $6 repositories,
-- $7 status, $8 result, $9 error, $10 started, $11 finished, $12 memory id; id.
INSERT INTO workflow_executions (id, scope_no, execution_id, workflow_id, adapter, repositories, status, result, error,
                                 started_at, finished_at, memory_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT ON CONSTRAINT workflow_executions_identity DO UPDATE SET
    status = excluded.status, result = excluded.result, error = excluded.error, repositories = excluded.repositories,
    finished_at = excluded.finished_at, memory_id = coalesce(excluded.memory_id, workflow_executions.memory_id)
RETURNING id;

-- list_executions --
-- Executions, newest first. $1 workflow or null, $2 limit; rows of `execution`.
SELECT id, execution_id, workflow_id, adapter, repositories, status, result, error, started_at, finished_at, duration, memory_id
FROM workflow_executions WHERE ($1::text IS NULL OR workflow_id = $1) ORDER BY started_at DESC LIMIT $2;

-- add_metric --
-- Note a measurement. $1 id, $2 scope, $3 source, $4 name, $5 value, $6 unit, $7 labels, $8 time; no rows.
INSERT INTO performance_metrics (id, scope_no, source, name, value, unit, labels, recorded_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING;

-- list_metrics --
-- Measurements of one name, newest first. $1 name, $2 since or null, $3 limit; rows of `metric`.
SELECT source, name, value, unit, labels, recorded_at FROM performance_metrics
WHERE name = $1 AND ($2::timestamptz IS NULL OR recorded_at >= $2) ORDER BY recorded_at DESC LIMIT $3;

-- find_settled --
-- Which ids of writes lead to something else by now: what was there before, or a successor. $1 ids; (id).
SELECT id FROM aliases WHERE id = ANY ($1::uuid[])
UNION SELECT id FROM memories WHERE id = ANY ($1) AND superseded_by IS NOT NULL;

-- put_aliases --
-- Let ids lead to memories. $1 ids, $2 ids of memories; no rows.
INSERT INTO aliases (id, memory_id) SELECT * FROM unnest($1::uuid[], $2::uuid[]) ON CONFLICT DO NOTHING;

-- put_execution_aliases --
-- Let ids lead to executions. $1 ids, $2 ids of executions; no rows.
INSERT INTO aliases (id, execution_id) SELECT * FROM unnest($1::uuid[], $2::uuid[]) ON CONFLICT DO NOTHING;

-- find_settled --
-- Which ids of writes were dealt with: they lead to what was there before or to a successor, or what they said is
-- forgotten. $1 ids, $2 content hashes, null for any; (id).
SELECT id FROM aliases WHERE id = ANY ($1::uuid[])
UNION SELECT id FROM memories WHERE id = ANY ($1) AND superseded_by IS NOT NULL
UNION SELECT wanted.id FROM unnest($1, $2::bytea[]) AS wanted (id, content_hash)
JOIN forgotten_memories f ON (f.id = wanted.id OR f.aliases @> ARRAY[wanted.id])
    AND f.content_hash = coalesce(wanted.content_hash, f.content_hash);

-- put_aliases --
-- Let ids lead to memories. $1 ids, $2 ids of memories; no rows.
INSERT INTO aliases (id, memory_id) SELECT * FROM unnest($1::uuid[], $2::uuid[]) ON CONFLICT DO NOTHING;

-- put_execution_aliases --
-- Let ids lead to executions. $1 ids, $2 ids of executions; no rows.
INSERT INTO aliases (id, execution_id) SELECT * FROM unnest($1::uuid[], $2::uuid[]) ON CONFLICT DO NOTHING;

-- read_visible --
-- The transaction below which all have ended, and the scopes that the caller sees; (horizon, scope numbers), one row.
SELECT pg_snapshot_xmin(pg_current_snapshot()) AS horizon, ARRAY(SELECT scope_no FROM scopes) AS scopes;

-- read_changes --
-- What happened to memories in a window of transactions that have ended. $1 and $2 the window; (scope_no, kind, memory_no or
-- null where nothing is left of it).
SELECT c.scope_no, c.kind, coalesce(m.memory_no, f.memory_no) AS memory_no
FROM changes c LEFT JOIN memories m ON m.id = c.memory_id LEFT JOIN forgotten_memories f ON f.id = c.memory_id
WHERE c.xid >= $1::xid8 AND c.xid < $2::xid8;

-- find_waiting --
-- Memories that wait for their vectors. $1 scopes, $2 memory numbers or null; memory_no.
SELECT memory_no FROM embedding_queue WHERE scope_no = ANY ($1::integer[]) AND ($2::bigint[] IS NULL OR memory_no = ANY ($2));

-- find_gone --
-- Of memory numbers those of which nothing is left. $1 memory numbers; memory_no.
SELECT memory_no FROM unnest($1::bigint[]) AS known (memory_no)
WHERE NOT EXISTS (SELECT FROM memories m WHERE m.memory_no = known.memory_no);

-- find_number --
-- A memory's number. $1 id; memory_no or no row.
SELECT memory_no FROM memories WHERE id = $1;

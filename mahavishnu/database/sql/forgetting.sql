-- select_chain --
-- The caller's own memories, and every version that they replaced. $1 ids; (id).
WITH RECURSIVE chain AS (
    SELECT m.id FROM memories m JOIN scopes s USING (scope_no) WHERE m.id = ANY ($1::uuid[]) AND s.owner = current_user
    UNION
    SELECT older.id FROM memories older JOIN chain ON older.superseded_by = chain.id
)
SELECT id FROM chain;

-- select_derived --
-- The caller's own insights that were found in nothing but these memories, as far as that is there. $1 ids; (id), without
-- those given.
SELECT m.id FROM memories m
WHERE m.memory_type = 'insight' AND m.id <> ALL ($1::uuid[])
    AND m.scope_no = ANY (ARRAY(SELECT scope_no FROM scopes WHERE owner = current_user))
    AND jsonb_path_exists(m.metadata, '$.sources[*].id ? (@ == $ids[*])', (SELECT jsonb_build_object('ids', $1)))
    AND NOT EXISTS (SELECT FROM (SELECT {sources of m}) AS source (id) JOIN memories kept USING (id)
                    WHERE kept.id <> ALL ($1));

-- select_forgotten_along --
-- Tombstones of insights that went with these, for which nothing else is there meanwhile. $1 ids; (id), without those given.
SELECT DISTINCT f.id
FROM forgotten_memories gone JOIN forgotten_memories f USING (forgotten_at)
WHERE gone.id = ANY ($1::uuid[]) AND f.collection = 'insight' AND f.id <> ALL ($1) AND f.restorable_until > now()
    AND gone.id IN (SELECT {sources of f})
    AND NOT EXISTS (SELECT FROM memories m WHERE m.scope_no = f.scope_no AND m.source_key = f.source_key
                        AND m.content_hash = f.content_hash AND m.superseded_by IS NULL);

-- count_old --
-- The caller's own live memories that were stored longer ago than their type is kept. $1 types, $2 ages; (memory_type,
-- memories).
SELECT memory_type, count(*) AS memories
FROM memories m JOIN unnest($1::text[], $2::interval[]) AS kept (memory_type, age) USING (memory_type)
WHERE m.superseded_by IS NULL AND m.stored_at < now() - kept.age
    AND m.scope_no IN (SELECT scope_no FROM scopes WHERE owner = current_user)
GROUP BY memory_type;

-- select_old --
-- Some of the same, oldest first. $1 types, $2 ages, $3 limit; (id).
SELECT m.id FROM memories m JOIN unnest($1::text[], $2::interval[]) AS kept (memory_type, age) USING (memory_type)
WHERE m.superseded_by IS NULL AND m.stored_at < now() - kept.age
    AND m.scope_no IN (SELECT scope_no FROM scopes WHERE owner = current_user)
ORDER BY m.memory_no LIMIT $3;

-- add_tombstones --
-- Keep what is about to be deleted, with the turns, the texts of executions and the aliases that go with it; nobody changes it until then. $1 ids, $2 how long;
-- no rows.
INSERT INTO forgotten_memories ({stored}, turns, executions, aliases, restorable_until)
SELECT {stored}, (SELECT jsonb_agg(to_jsonb(t)) FROM agent_conversations t WHERE t.memory_id = m.id),
       (SELECT jsonb_agg(jsonb_build_object('id', e.id, 'result', e.result, 'error', e.error))
        FROM workflow_executions e WHERE e.memory_id = m.id),
       (SELECT array_agg(a.id) FROM aliases a WHERE a.memory_id = m.id),
       now() + $2::interval
FROM memories m WHERE m.id = ANY ($1::uuid[]) ORDER BY memory_no FOR UPDATE
ON CONFLICT DO NOTHING;

-- clear_executions --
-- Take what memories tell out of the executions that they are of. $1 ids; no rows.
UPDATE workflow_executions SET result = NULL, error = NULL WHERE memory_id = ANY ($1::uuid[]);

-- delete --
-- Delete one's own memories; index rows, vectors and turns go with them. $1 ids; no rows.
DELETE FROM memories WHERE id = ANY ($1::uuid[]);

-- delete_tombstones --
-- Delete for good what was forgotten under these ids, with older versions, and what says the same in the same place as
-- one of these memories, live or forgotten. $1 ids, $2 whether only to look; (id).
WITH RECURSIVE chain AS (
    SELECT id FROM forgotten_memories WHERE id = ANY ($1::uuid[])
    UNION
    SELECT older.id FROM forgotten_memories older JOIN chain ON older.superseded_by = chain.id
), said AS (
    SELECT scope_no, source_key, content_hash FROM memories WHERE id = ANY ($1)
    UNION
    SELECT scope_no, source_key, content_hash FROM forgotten_memories JOIN chain USING (id)
), found AS (
    SELECT memory_no, id FROM forgotten_memories WHERE (scope_no, source_key, content_hash) IN (SELECT * FROM said)
), gone AS (
    DELETE FROM forgotten_memories WHERE NOT $2 AND memory_no IN (SELECT memory_no FROM found)
)
SELECT id FROM found;

-- find_tombstones --
-- Ids of what can be restored that end with the digits, or have an alias that does, at most 10. $1 4 to 32 hex digits; (id).
SELECT DISTINCT f.id FROM forgotten_memories f CROSS JOIN unnest(f.id || f.aliases) AS known (id)
WHERE replace(known.id::text, '-', '') LIKE '%' || $1 AND f.restorable_until > now() ORDER BY f.id LIMIT 10;

-- list_tombstones --
-- What can be restored, last forgotten first, without older versions that go with it. $1 limit, $2 since or null; rows of
-- `Tombstone` and the number of all.
SELECT f.id, f.collection, p.name AS project, left(f.content, 320) AS beginning, f.occurred_at, f.forgotten_at,
       f.restorable_until, count(*) OVER () AS total
FROM forgotten_memories f JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
WHERE f.restorable_until > now() AND ($2::timestamptz IS NULL OR f.forgotten_at >= $2)
    AND NOT EXISTS (SELECT FROM forgotten_memories newer WHERE newer.id = f.superseded_by)
ORDER BY f.forgotten_at DESC, f.memory_no DESC LIMIT $1;

-- select_tombstones --
-- What was forgotten from a time on and can be restored, the last stored first. $1 since; (id).
SELECT id FROM forgotten_memories WHERE restorable_until > now() AND forgotten_at >= $1 ORDER BY memory_no DESC;

-- take_tombstones --
-- What was forgotten under these ids, with the versions before and after, held until the transaction ends. $1 ids; of an
-- id that was forgotten more than once the last; (memory_no, id, scope_no, live, text).
WITH RECURSIVE chain AS (
    SELECT id, superseded_by FROM forgotten_memories WHERE id = ANY ($1::uuid[]) AND restorable_until > now()
    UNION
    SELECT other.id, other.superseded_by FROM chain
    JOIN forgotten_memories other ON other.superseded_by = chain.id OR other.id = chain.superseded_by
)
SELECT f.memory_no, f.id, f.scope_no, f.superseded_by IS NULL AS live,
       CASE WHEN f.context = '' THEN f.content ELSE f.context || E'\n' || f.content END AS text
FROM forgotten_memories f
WHERE f.memory_no IN (SELECT max(g.memory_no) FROM forgotten_memories g JOIN chain USING (id) GROUP BY g.id)
ORDER BY f.memory_no FOR UPDATE;

-- find_live --
-- Which of these ids are memories that the caller sees. $1 ids; (id).
SELECT id FROM memories WHERE id = ANY ($1::uuid[]);

-- find_in_place --
-- What keeps memories from coming back: another one under their id, with their text, or of their source. $1 numbers; (id,
-- in_place: the id of the other).
WITH back AS (SELECT * FROM forgotten_memories WHERE memory_no = ANY ($1::bigint[]))
SELECT id, m.id AS in_place FROM back JOIN memories m USING (id)
UNION ALL
SELECT back.id, m.id FROM back JOIN memories m USING (scope_no, source_key, content_hash)
WHERE back.superseded_by IS NULL AND m.superseded_by IS NULL
UNION ALL
SELECT back.id, m.id FROM back JOIN memories m USING (scope_no, source_key)
WHERE back.superseded_by IS NULL AND m.superseded_by IS NULL AND source_key <> ''
    AND back.collection NOT IN ('note', 'insight')
LIMIT 1;

-- put_back --
-- Make memories of what was forgotten; one that has expired meanwhile stays from now on. $1 numbers; (memory_no) of those
-- that nothing was in the way of.
WITH back AS (
    UPDATE forgotten_memories SET expires_at = CASE WHEN expires_at > now() THEN expires_at END
    WHERE memory_no = ANY ($1::bigint[]) RETURNING *
)
INSERT INTO memories ({stored}) OVERRIDING SYSTEM VALUE SELECT {stored} FROM back
ON CONFLICT DO NOTHING RETURNING memory_no;

-- put_postings --
-- Index memories again. $1 terms, $2 numbers, $3 scopes, $4 frequencies, $5 lengths; no rows.
INSERT INTO postings (term, memory_no, scope_no, frequency, length)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::integer[], $4::smallint[], $5::smallint[]) AS row (term, memory_no)
ORDER BY term, memory_no;

-- put_in_queue --
-- Let those memories wait for vectors that have none of a model. $1 numbers, $2 number of the model, or 0; no rows.
INSERT INTO embedding_queue (memory_no, scope_no)
SELECT memory_no, scope_no FROM memories m
WHERE memory_no = ANY ($1::bigint[])
    AND NOT EXISTS (SELECT FROM forgotten_vectors v WHERE v.memory_no = m.memory_no AND v.model_no = $2);

-- put_turns --
-- Give turns their places in conversations again, where no other turn has them. $1 numbers; no rows.
INSERT INTO agent_conversations
SELECT turn.* FROM forgotten_memories f,
    jsonb_populate_recordset(NULL::agent_conversations, f.turns) AS turn
WHERE f.memory_no = ANY ($1::bigint[])
ON CONFLICT DO NOTHING;

-- put_executions --
-- Let executions say again what they said, where they have no other memory. $1 numbers; no rows.
UPDATE workflow_executions e SET memory_id = f.id, result = said.result, error = said.error
FROM forgotten_memories f, jsonb_to_recordset(f.executions) AS said (id uuid, result jsonb, error text)
WHERE f.memory_no = ANY ($1::bigint[]) AND e.id = said.id AND e.memory_id IS NULL;

-- put_aliases --
-- Let aliases lead to memories again, unless they lead elsewhere by now. $1 numbers; no rows.
INSERT INTO aliases (id, memory_id)
SELECT alias, f.id FROM forgotten_memories f CROSS JOIN unnest(f.aliases) AS alias
WHERE f.memory_no = ANY ($1::bigint[]) AND NOT EXISTS (SELECT FROM memories m WHERE m.id = alias)
ON CONFLICT DO NOTHING;

-- drop_tombstones --
-- What was put back is no longer forgotten. $1 numbers; no rows.
DELETE FROM forgotten_memories WHERE memory_no = ANY ($1::bigint[]);

-- read_clock --
-- The database's time; (now).
SELECT now() AS now;

-- find_stored --
-- Live memories with the same identity. $1 scopes, $2 source keys, $3 content hashes; (ord, id, embedded, and what
-- the identity leaves open).
SELECT wanted.ord, m.id, NOT EXISTS (SELECT FROM embedding_queue q WHERE q.memory_no = m.memory_no) AS embedded,
       {beside the identity}
FROM unnest($1::integer[], $2::text[], $3::bytea[]) WITH ORDINALITY AS wanted (scope_no, source_key, content_hash, ord)
JOIN memories m ON m.scope_no = wanted.scope_no AND m.source_key = wanted.source_key
    AND m.content_hash = wanted.content_hash AND m.superseded_by IS NULL AND (m.expires_at IS NULL OR m.expires_at > now());

-- find_holders --
-- Who has ids, the caller's own expired memories left out. $1 ids; (id, whether a live memory of the caller's own,
-- visibility, project, collection, source_key, content_hash).
SELECT m.id, s.owner = current_user AND m.superseded_by IS NULL AS live, s.visibility, p.name AS project, m.collection,
       m.source_key, m.content_hash
FROM memories m JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
WHERE m.id = ANY ($1::uuid[]) AND (m.expires_at IS NULL OR m.expires_at > now() OR s.owner <> current_user);

-- find_state --
-- What decides whether a memory can be superseded. $1 id; (own, superseded_by, expired).
SELECT s.owner = current_user AS own, m.superseded_by, coalesce(m.expires_at <= now(), false) AS expired
FROM memories m JOIN scopes s USING (scope_no) WHERE m.id = $1;

-- fetch_by_id --
-- One memory, live or not. $1 id; a row of `memory`.
SELECT {memory}
FROM memories m JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
WHERE m.id = $1;

-- find_by_shown_id --
-- Ids that end with the digits, or that an alias which does leads to, at most 10. $1 at least 8 hex digits; (id).
SELECT id FROM memories
WHERE right(id::text, 8) = right($1, 8) AND replace(id::text, '-', '') LIKE '%' || $1
UNION
SELECT memory_id FROM aliases WHERE memory_id IS NOT NULL AND replace(id::text, '-', '') LIKE '%' || $1
ORDER BY id LIMIT 10;

-- find_by_short_digits --
-- The same for 4 to 7 digits, which no index serves. $1 digits; (id).
SELECT id FROM memories WHERE right(id::text, 8) LIKE '%' || $1
UNION
SELECT memory_id FROM aliases WHERE memory_id IS NOT NULL AND right(id::text, 8) LIKE '%' || $1
ORDER BY id LIMIT 10;

-- find_aliased --
-- The memory that an alias of the caller's leads to. $1 id; one id or no row.
SELECT memory_id FROM aliases WHERE id = $1 AND memory_id IS NOT NULL;

-- list_memories --
-- Live memories, newest first. $1 scopes, $2 limit, $3 offset, $4 and $5 time and number of what the page before
-- ended with, $6 condition on the metadata, from $7 a filter's fine parameters; rows of `memory`.
SELECT {memory}
FROM memories m JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
WHERE m.scope_no = ANY ($1::integer[]) AND m.superseded_by IS NULL AND (m.expires_at IS NULL OR m.expires_at > now())
    AND {passes from $7}
    AND ($4::timestamptz IS NULL OR (m.occurred_at, m.memory_no) < ($4, $5::bigint))
    AND ($6::text IS NULL OR m.metadata @@ $6::text::jsonpath)
ORDER BY m.occurred_at DESC, m.memory_no DESC LIMIT $2 OFFSET $3;

-- list_heads --
-- Live memories, newest first, without their texts. $1 scopes, $2 limit, $3 and $4 as $4 and $5 of list_memories; (id,
-- memory_no, beginning, bytes of the text, memory_type, project, occurred_at).
SELECT m.id, m.memory_no, left(m.content, 320) AS beginning, octet_length(m.content) AS size, m.memory_type,
       p.name AS project, m.occurred_at
FROM memories m JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
WHERE m.scope_no = ANY ($1::integer[]) AND m.superseded_by IS NULL AND (m.expires_at IS NULL OR m.expires_at > now())
    AND ($3::timestamptz IS NULL OR (m.occurred_at, m.memory_no) < ($3, $4::bigint))
ORDER BY m.occurred_at DESC, m.memory_no DESC LIMIT $2;

-- select_ids --
-- Ids of all live memories that pass a filter, newest first. $1 scopes, $2 condition, from $3 a filter's fine
-- parameters; (id).
SELECT m.id FROM memories m
WHERE m.scope_no = ANY ($1::integer[]) AND m.superseded_by IS NULL AND (m.expires_at IS NULL OR m.expires_at > now())
    AND {passes from $3}
    AND ($2::text IS NULL OR m.metadata @@ $2::text::jsonpath)
ORDER BY m.occurred_at DESC, m.memory_no DESC;

-- select_matching --
-- Numbers of the live memories that pass a fine filter. $1 scopes, $2 limit, $3 condition, from $4 the filter's fine
-- parameters; (memory_no).
SELECT m.memory_no FROM memories m
WHERE m.scope_no = ANY ($1::integer[]) AND m.superseded_by IS NULL AND (m.expires_at IS NULL OR m.expires_at > now())
    AND {passes from $4}
    AND ($3::text IS NULL OR m.metadata @@ $3::text::jsonpath)
LIMIT $2;

-- select_targeted --
-- Live insights of other projects that were shared with these, and pass a fine filter. $1 scopes that are searched anyway,
-- $2 names of projects, $3 limit, $4 condition, from $5 the filter's fine parameters; (memory_no, scope_no).
SELECT m.memory_no, m.scope_no FROM memories m
WHERE m.memory_type = 'insight' AND m.metadata -> 'targets' ?| $2::text[] AND m.scope_no <> ALL ($1::integer[])
    AND m.superseded_by IS NULL AND (m.expires_at IS NULL OR m.expires_at > now())
    AND {passes from $5}
    AND ($4::text IS NULL OR m.metadata @@ $4::text::jsonpath)
ORDER BY m.memory_no DESC LIMIT $3;

-- fetch_by_ids --
-- Memories in the order of their storing, live or not. $1 ids; rows of `memory`.
SELECT {memory}
FROM memories m JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
WHERE m.id = ANY ($1::uuid[]) ORDER BY m.memory_no;

-- find_live --
-- Live memories by their ids that pass a filter, or were shared with its projects. $1 ids, $2 scopes, $3 names of
-- projects, $4 condition, from $5 the filter's fine parameters; rows of `memory`.
SELECT {memory}
FROM memories m JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
WHERE m.id = ANY ($1::uuid[]) AND m.superseded_by IS NULL AND (m.expires_at IS NULL OR m.expires_at > now())
    AND (m.scope_no = ANY ($2::integer[]) OR m.memory_type = 'insight' AND m.metadata -> 'targets' ?| $3::text[])
    AND {passes from $5}
    AND ($4::text IS NULL OR m.metadata @@ $4::text::jsonpath);

-- mark_superseded --
-- Retire one's own live memory in favour of another. $1 old id, $2 new id; memory_no or no row.
UPDATE memories SET superseded_by = $2 WHERE id = $1 AND superseded_by IS NULL RETURNING memory_no;

-- supersede_others --
-- Retire what shares scope and source key with a live memory. $1 scopes, $2 source keys, $3 content hashes of the
-- memories that stay; (memory_no) of the others.
UPDATE memories other SET superseded_by = kept.id
FROM unnest($1::integer[], $2::text[], $3::bytea[]) AS wanted (scope_no, source_key, content_hash)
JOIN memories kept ON kept.scope_no = wanted.scope_no AND kept.source_key = wanted.source_key
    AND kept.content_hash = wanted.content_hash AND kept.superseded_by IS NULL
WHERE other.scope_no = kept.scope_no AND other.source_key = kept.source_key AND other.id <> kept.id
    AND other.superseded_by IS NULL
RETURNING other.memory_no;

-- lock_scopes --
-- Hold scopes against others who ask the same, until the transaction ends. $1 scopes, ascending; nothing useful.
SELECT pg_advisory_xact_lock(1296123, scope_no) FROM unnest($1::integer[]) AS scope_no;

-- lock_pair --
-- The caller's own rows of memories, locked in one order. $1 ids; (id, superseded_by).
SELECT m.id, m.superseded_by FROM memories m
WHERE m.id = ANY ($1::uuid[]) AND m.scope_no IN (SELECT scope_no FROM scopes WHERE owner = current_user)
ORDER BY m.id FOR UPDATE;

-- purge_expired --
-- Delete the caller's own memories whose time is over, and for good what was forgotten too long ago to be restored; (whether
-- others' expired ones are to be seen).
WITH gone AS (
    DELETE FROM memories
    WHERE expires_at <= now() AND scope_no IN (SELECT scope_no FROM scopes WHERE owner = current_user)
), forgotten AS (
    DELETE FROM forgotten_memories WHERE restorable_until <= now()
)
SELECT EXISTS (
    SELECT FROM memories m WHERE m.expires_at <= now()
        AND m.scope_no NOT IN (SELECT scope_no FROM scopes WHERE owner = current_user));

-- drop_postings --
-- Take memories out of the text index. $1 memory numbers; no rows.
DELETE FROM postings WHERE memory_no = ANY ($1::bigint[]);

-- drop_from_queue --
-- Forget that memories wait for vectors. $1 memory numbers; no rows.
DELETE FROM embedding_queue WHERE memory_no = ANY ($1::bigint[]);

-- count_by_collection --
-- Live memories by type, collection and project; (memory_type, collection, project, memories, newest).
SELECT m.memory_type, m.collection, p.name AS project, count(*) AS memories, max(m.occurred_at) AS newest
FROM memories m JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
WHERE m.superseded_by IS NULL AND (m.expires_at IS NULL OR m.expires_at > now())
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3;

-- count_totals --
-- Totals of what the caller may see; (live, superseded, waiting, bytes of the database).
SELECT (SELECT count(*) FROM memories
        WHERE superseded_by IS NULL AND (expires_at IS NULL OR expires_at > now())) AS live,
       (SELECT count(*) FROM memories WHERE superseded_by IS NOT NULL) AS superseded,
       (SELECT count(*) FROM embedding_queue) AS waiting,
       pg_database_size(current_database()) AS size_bytes;

-- count_waiting --
-- Memories without vectors, counting no further than $1; one number.
SELECT count(*) FROM (SELECT FROM embedding_queue LIMIT $1) AS counted;

-- put_behind --
-- Let memories whose texts failed wait behind the others. $1 memory numbers; no rows.
UPDATE embedding_queue SET failures = least(failures + 1, 1000) WHERE memory_no = ANY ($1::bigint[]);

-- take_waiting --
-- The caller's own waiting memories, those first that failed least and are oldest, locked against other takers. $1 limit; (memory_no, scope_no, collection, text).
SELECT q.memory_no, q.scope_no, m.collection,
       CASE WHEN m.context = '' THEN m.content ELSE m.context || E'\n' || m.content END AS text
FROM embedding_queue q JOIN memories m USING (memory_no)
WHERE q.scope_no IN (SELECT scope_no FROM scopes WHERE owner = current_user)
ORDER BY q.failures, q.memory_no LIMIT $1 FOR UPDATE OF q SKIP LOCKED;

-- find_known --
-- Live insights of the caller's own with these source keys, in one project. $1 source keys, $2 name of the project or null;
-- (id, source_key, visibility, content, metadata).
SELECT m.id, m.source_key, s.visibility, m.content, m.metadata
FROM memories m JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
WHERE m.source_key = ANY ($1::text[]) AND m.scope_no = ANY (ARRAY(
        SELECT scope_no FROM scopes WHERE owner = current_user AND collection = 'insight'))
    AND p.name IS NOT DISTINCT FROM $2 AND m.superseded_by IS NULL AND (m.expires_at IS NULL OR m.expires_at > now())
ORDER BY m.memory_no;

-- find_refused --
-- Of these source keys, those whose insight was forgotten though what it was found in is there. Parameters as find_known;
-- (source_key, metadata).
SELECT f.source_key, f.metadata
FROM forgotten_memories f JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
WHERE f.source_key = ANY ($1::text[]) AND f.collection = 'insight' AND p.name IS NOT DISTINCT FROM $2
    AND f.superseded_by IS NULL AND f.restorable_until > now()
    AND EXISTS (SELECT FROM (SELECT {sources of f}) AS source (id) JOIN memories m USING (id));

-- hold_sources --
-- Which of these memories are there, once nobody forgets them at this moment. $1 ids; (id).
SELECT id FROM memories WHERE id = ANY ($1::uuid[]) ORDER BY id FOR SHARE;

-- add_source --
-- Note where else an insight was found, unless that is known or its metadata has $3 bytes already. $1 id, $2 a list of
-- one source; no rows.
WITH noted AS (
    UPDATE memories SET metadata = jsonb_set(metadata, '{sources}', metadata -> 'sources' || $2::jsonb)
    WHERE id = $1 AND jsonb_typeof(metadata -> 'sources') = 'array' AND NOT metadata -> 'sources' @> $2
        AND octet_length(metadata::text) < $3
    RETURNING id, scope_no
)
INSERT INTO changes (scope_no, memory_id, kind) SELECT scope_no, id, 'stored' FROM noted;

-- drop_sources --
-- Take superseded memories out of the sources of the caller's own insights that were found in them. $1 ids; (id, whether
-- any source is left).
WITH concerned AS (
    SELECT m.id, m.scope_no, coalesce((
            SELECT jsonb_agg(source) FROM jsonb_path_query(m.metadata, '$.sources[*]') AS source
            WHERE NOT source ->> 'id' = ANY ($1::text[])), '[]') AS sources
    FROM memories m
    WHERE m.memory_type = 'insight' AND m.superseded_by IS NULL AND m.metadata ->> 'doc_type' = 'insight'
        AND m.scope_no = ANY (ARRAY(SELECT scope_no FROM scopes WHERE owner = current_user))
        AND EXISTS (SELECT FROM jsonb_path_query(m.metadata, '$.sources[*].id') AS source WHERE source #>> '{}' = ANY ($1))
), noted AS (
    UPDATE memories m SET metadata = jsonb_set(m.metadata, '{sources}', c.sources)
    FROM concerned c WHERE c.id = m.id
), told AS (
    INSERT INTO changes (scope_no, memory_id, kind) SELECT scope_no, id, 'stored' FROM concerned
)
SELECT id, sources <> '[]' AS has_sources FROM concerned;

-- list_insights --
-- Live insights, newest first. $1 names of projects that they are of or were shared with, $2 session, $3 workflow,
-- $4 memory that they were found in, $5 'insight' or 'pattern', each or null, $6 whether only shared ones, $7 whether only
-- the caller's own, $8 limit; rows of `memory`.
SELECT {memory}
FROM memories m JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
WHERE m.memory_type = 'insight' AND m.superseded_by IS NULL AND (m.expires_at IS NULL OR m.expires_at > now())
    AND ($1::text[] IS NULL OR p.name = ANY ($1) OR m.metadata -> 'targets' ?| $1)
    AND ($2::text IS NULL OR m.session_id = $2
        OR m.metadata @> jsonb_build_object('sources', jsonb_build_array(jsonb_build_object('session_id', $2))))
    AND ($3::text IS NULL OR m.workflow_id = $3
        OR m.metadata @> jsonb_build_object('sources', jsonb_build_array(jsonb_build_object('workflow_id', $3))))
    AND ($4::text IS NULL OR m.metadata @> jsonb_build_object('sources', jsonb_build_array(jsonb_build_object('id', $4))))
    AND ($5::text IS NULL OR m.metadata ->> 'doc_type' = $5)
    AND (NOT $6::boolean OR m.metadata ? 'share_type')
    AND (NOT $7::boolean OR s.owner = current_user)
ORDER BY m.occurred_at DESC, m.memory_no DESC LIMIT $8;

-- note_share --
-- Note whom one's own insight is for; what says so already is left as it is. One that was stored by hand says then what it
-- is and since when, as others do. $1 id, $2 targets, $3 type; no rows.
WITH said AS (
    SELECT m.id, (
        SELECT jsonb_agg(target ORDER BY target) FROM (
            SELECT target FROM jsonb_path_query(m.metadata, '$.targets[*]') AS target
            UNION SELECT to_jsonb(target) FROM unnest($2::text[]) AS target) AS target) AS targets
    FROM memories m
    WHERE m.id = $1 AND NOT (m.metadata @> jsonb_build_object('targets', to_jsonb($2), 'share_type', $3::text))
), noted AS (
    UPDATE memories m SET metadata = jsonb_build_object('doc_type', 'insight',
            'extracted_at', to_char(m.stored_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'))
        || m.metadata || jsonb_build_object('targets', said.targets, 'share_type', $3::text)
    FROM said WHERE said.id = m.id RETURNING m.id, m.scope_no
)
INSERT INTO changes (scope_no, memory_id, kind) SELECT scope_no, id, 'stored' FROM noted;

-- list_failures --
-- The caller's own executions that failed and are remembered, the last first. $1 limit; (memory_id, execution_id,
-- workflow_id, error, projects, at).
SELECT e.memory_id, e.execution_id, e.workflow_id, right(e.error, 4000) AS error,
       coalesce(ARRAY[p.name], e.repositories[1:20]) AS projects, coalesce(e.finished_at, e.started_at) AS at
FROM workflow_executions e JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
WHERE s.owner = current_user AND e.status IN ('failed', 'crashed') AND e.memory_id IS NOT NULL
ORDER BY at DESC, e.id DESC LIMIT $1;

-- list_found --
-- The caller's own insights that were found in several projects, by their source keys. $1 limit; (id, source_key, content,
-- project, times, at).
WITH own AS (
    SELECT m.id, m.memory_no, m.source_key, m.content, p.name AS project, m.occurred_at AS at,
           jsonb_array_length(jsonb_path_query_array(m.metadata, '$.sources[*]')) AS times
    FROM memories m JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
    WHERE m.memory_type = 'insight' AND m.superseded_by IS NULL AND (m.expires_at IS NULL OR m.expires_at > now())
        AND m.metadata ->> 'doc_type' = 'insight' AND s.owner = current_user
    ORDER BY m.occurred_at DESC LIMIT $1
)
SELECT id, source_key, content, project, times, at FROM own
WHERE source_key IN (SELECT source_key FROM own GROUP BY 1 HAVING count(DISTINCT coalesce(project, '')) > 1)
ORDER BY at DESC, memory_no DESC;

-- export_projects --
-- One's own projects, and how they are recognised. $1 scopes, or null for all projects; (line).
SELECT row_to_json(line) AS line FROM (
    SELECT 'project' AS kind, p.id, p.name, p.visibility, p.created_at, (
        SELECT coalesce(json_agg(json_build_object('kind', a.kind, 'value', a.value, 'created_at', a.created_at)
                                 ORDER BY a.kind, a.value COLLATE "C"), '[]')
        FROM project_aliases a WHERE a.project_id = p.id) AS aliases
    FROM projects p
    WHERE p.owner = current_user AND ($1::integer[] IS NULL OR p.id IN (
        SELECT project_id FROM scopes WHERE owner = current_user AND scope_no = ANY ($1)))
) AS line ORDER BY line.id;

-- export_memories --
-- One's own memories, superseded ones too. $1 scopes, from $2 a filter's fine parameters; (line).
SELECT row_to_json(line) AS line FROM (
    SELECT 'memory' AS kind, m.id, p.name AS project, s.visibility, {columns}, m.stored_at, m.superseded_by /* vectors */
    FROM memories m JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
    WHERE m.scope_no = ANY ($1::integer[]) AND s.owner = current_user
        AND (m.expires_at IS NULL OR m.expires_at > now()) AND {passes from $2}
) AS line ORDER BY line.id;

-- export_turns --
-- The turns of those memories. Parameters as export_memories; (line).
SELECT row_to_json(line) AS line FROM (
    SELECT 'turn' AS kind, t.id, p.name AS project, s.visibility, t.session_id, t.position, t.agent_id, t.role, t.speaker,
           t.memory_id, t.occurred_at, t.stored_at, t.metadata, t.branch, t.model, t.profile
    FROM agent_conversations t JOIN memories m ON m.id = t.memory_id
    JOIN scopes s ON s.scope_no = t.scope_no LEFT JOIN projects p ON p.id = s.project_id
    WHERE t.scope_no = ANY ($1::integer[]) AND s.owner = current_user
        AND (m.expires_at IS NULL OR m.expires_at > now()) AND {passes from $2}
) AS line ORDER BY line.id;

-- export_executions --
-- Executions, under a fine filter those of its memories. Parameters as export_memories, last whether there is such a
-- filter; (line).
SELECT row_to_json(line) AS line FROM (
    SELECT 'execution' AS kind, e.id, p.name AS project, s.visibility, e.execution_id, e.workflow_id, e.adapter,
           e.repositories, e.status, e.result, e.error, e.started_at, e.finished_at, m.id AS memory_id, e.metadata,
           e.created_at
    FROM workflow_executions e JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
    LEFT JOIN memories m ON m.id = e.memory_id AND (m.expires_at IS NULL OR m.expires_at > now())
    WHERE e.scope_no = ANY ($1::integer[]) AND s.owner = current_user
        AND (NOT $10::boolean OR m.id IS NOT NULL AND {passes from $2})
) AS line ORDER BY line.id;

-- find_imported --
-- What there is of ids, as far as the caller sees it. $1 ids; (id, own, content_hash, superseded_by).
SELECT m.id, s.owner = current_user AS own, m.content_hash, m.superseded_by
FROM memories m JOIN scopes s USING (scope_no) WHERE m.id = ANY ($1::uuid[]);

-- find_successors --
-- What replaced memories, what replaced that, and so on. $1 ids; (id, superseded_by).
WITH RECURSIVE reached AS (
    SELECT id, superseded_by FROM memories WHERE id = ANY ($1::uuid[]) AND superseded_by IS NOT NULL
    UNION
    SELECT m.id, m.superseded_by FROM reached JOIN memories m ON m.id = reached.superseded_by
    WHERE m.superseded_by IS NOT NULL
)
SELECT id, superseded_by FROM reached;

-- retire --
-- Let own live memories be superseded. $1 ids, $2 by which; (memory_no).
UPDATE memories m SET superseded_by = wanted.successor FROM unnest($1::uuid[], $2::uuid[]) AS wanted (id, successor)
WHERE m.id = wanted.id AND m.superseded_by IS NULL
    AND m.scope_no IN (SELECT scope_no FROM scopes WHERE owner = current_user)
RETURNING m.memory_no;

-- put_projects --
-- Make projects of one's own. $1 lines; (id, whether it was made) of those that are there now.
WITH line AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS line (id uuid, name text, visibility text, created_at timestamptz)
), added AS (
    INSERT INTO projects (id, name, visibility, created_at) SELECT * FROM line ON CONFLICT DO NOTHING RETURNING id
)
SELECT id, true AS stored FROM added
UNION ALL SELECT l.id, false FROM line l JOIN projects p USING (name) WHERE p.owner = current_user;

-- put_aliases --
-- Note how one's own projects are recognised, unless another of one's own is. $1 lines of projects; no rows.
INSERT INTO project_aliases (project_id, kind, value, created_at)
SELECT p.id, a.kind, a.value, a.created_at
FROM jsonb_to_recordset($1::jsonb) AS line (name text, aliases jsonb)
CROSS JOIN jsonb_to_recordset(line.aliases) AS a (kind text, value text, created_at timestamptz)
JOIN projects p ON p.name = line.name AND p.owner = current_user
WHERE a.kind = 'root' OR NOT EXISTS (SELECT FROM project_aliases o JOIN projects q ON q.id = o.project_id
    WHERE o.kind = a.kind AND o.value = a.value AND q.owner = current_user)
ON CONFLICT DO NOTHING;

-- put_turns --
-- Note turns whose memories are there. $1 lines with their scopes; rows as put_projects.
WITH line AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS line (
        id uuid, scope_no integer, session_id text, position integer, agent_id text, role text, speaker text,
        memory_id uuid, occurred_at timestamptz, stored_at timestamptz, metadata jsonb, branch text, model text,
        profile text)
), added AS (
    INSERT INTO agent_conversations (id, scope_no, session_id, position, agent_id, role, speaker, memory_id, occurred_at,
                                     stored_at, metadata, branch, model, profile)
    SELECT * FROM line WHERE memory_id IN (SELECT id FROM memories) ON CONFLICT DO NOTHING RETURNING id
)
SELECT id, true AS stored FROM added
UNION ALL SELECT l.id, false FROM line l JOIN agent_conversations t USING (scope_no, session_id, position);

-- put_executions --
-- Note executions, and how known ones ended. $1 lines with their scopes; rows as put_projects.
WITH line AS MATERIALIZED (
    SELECT l.*, m.id AS about FROM jsonb_to_recordset($1::jsonb) AS l (
        id uuid, scope_no integer, execution_id text, workflow_id text, adapter text, repositories text[], status text,
        result jsonb, error text, started_at timestamptz, finished_at timestamptz, memory_id uuid, metadata jsonb,
        created_at timestamptz) LEFT JOIN memories m ON m.id = l.memory_id
), ended AS (
    UPDATE workflow_executions e SET status = l.status, result = l.result, error = l.error, finished_at = l.finished_at,
        memory_id = coalesce(l.about, e.memory_id)
    FROM line l WHERE l.id = e.id AND l.scope_no = e.scope_no AND e.finished_at IS NULL AND l.finished_at IS NOT NULL
), added AS (
    INSERT INTO workflow_executions (id, scope_no, execution_id, workflow_id, adapter, repositories, status, result,
                                     error, started_at, finished_at, memory_id, metadata, created_at)
    SELECT id, scope_no, execution_id, workflow_id, adapter, repositories, status, result, error, started_at,
           finished_at, about, metadata, created_at
    FROM line ON CONFLICT DO NOTHING RETURNING id
)
SELECT id, true AS stored FROM added
UNION ALL SELECT l.id, false FROM line l JOIN workflow_executions e USING (scope_no, adapter, execution_id);

-- put_turn --
-- Note a turn, or the memory that it has become. $1 id, $2 scope, $3 session, $4 position, $5 agent, $6 role,
-- $7 speaker, $8 memory id, $9 time; no rows.
INSERT INTO agent_conversations (id, scope_no, session_id, position, agent_id, role, speaker, memory_id, occurred_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT ON CONSTRAINT agent_conversations_position DO UPDATE
SET memory_id = excluded.memory_id, agent_id = excluded.agent_id, role = excluded.role, speaker = excluded.speaker;

-- find_turns --
-- What turns said when they were recorded last. $1 scopes, $2 sessions, $3 positions; (ord, id, content_hash, embedded).
SELECT wanted.ord, m.id, m.content_hash,
       NOT EXISTS (SELECT FROM embedding_queue q WHERE q.memory_no = m.memory_no) AS embedded
FROM unnest($1::integer[], $2::text[], $3::integer[]) WITH ORDINALITY AS wanted (scope_no, session_id, position, ord)
JOIN agent_conversations t USING (scope_no, session_id, position) JOIN memories m ON m.id = t.memory_id;

-- read_session --
-- A session's turns in order, each as it reads now; those of several projects one project after the other, those of none
-- first. $1 session, $2 project or null for all; (position, role, speaker, content).
WITH RECURSIVE said AS (
    SELECT p.name AS project, t.scope_no, t.position, t.role, t.speaker, m.content, m.superseded_by
    FROM agent_conversations t JOIN memories m ON m.id = t.memory_id
    JOIN scopes s ON s.scope_no = t.scope_no LEFT JOIN projects p ON p.id = s.project_id
    WHERE t.session_id = $1 AND ($2::text IS NULL OR p.name = $2)
    UNION ALL
    SELECT said.project, said.scope_no, said.position, said.role, said.speaker, m.content, m.superseded_by
    FROM said JOIN memories m ON m.id = said.superseded_by
)
SELECT position, role, speaker, content FROM said WHERE superseded_by IS NULL
ORDER BY project NULLS FIRST, scope_no, position;

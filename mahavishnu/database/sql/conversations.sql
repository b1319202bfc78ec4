-- put_turn --
-- Note a turn, or the memory that it has become. What is known beside the text is added to. $1 id, $2 scope, $3 session,
-- $4 position, $5 agent, $6 role, $7 speaker, $8 memory id, $9 time, $10 metadata, $11 branch, $12 model, $13 profile;
-- no rows.
INSERT INTO agent_conversations AS known (id, scope_no, session_id, position, agent_id, role, speaker, memory_id,
                                          occurred_at, metadata, branch, model, profile)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT ON CONSTRAINT agent_conversations_position DO UPDATE
SET memory_id = excluded.memory_id, agent_id = excluded.agent_id, role = excluded.role, speaker = excluded.speaker,
    metadata = known.metadata || excluded.metadata, branch = coalesce(excluded.branch, known.branch),
    model = coalesce(excluded.model, known.model), profile = coalesce(excluded.profile, known.profile);

-- describe_turn --
-- Add to what is known of a turn beside its text. $1 scope, $2 session, $3 position, $4 metadata, $5 branch, $6 model,
-- $7 profile; no rows.
UPDATE agent_conversations
SET metadata = metadata || $4, branch = coalesce($5, branch), model = coalesce($6, model), profile = coalesce($7, profile)
WHERE scope_no = $1 AND session_id = $2 AND position = $3
    AND (metadata, branch, model, profile) IS DISTINCT FROM
        (metadata || $4, coalesce($5, branch), coalesce($6, model), coalesce($7, profile));

-- find_turns --
-- What turns said when they were recorded last. $1 scopes, $2 sessions, $3 positions; (ord, id, content_hash, embedded).
SELECT wanted.ord, m.id, m.content_hash,
       NOT EXISTS (SELECT FROM embedding_queue q WHERE q.memory_no = m.memory_no) AS embedded
FROM unnest($1::integer[], $2::text[], $3::integer[]) WITH ORDINALITY AS wanted (scope_no, session_id, position, ord)
JOIN agent_conversations t USING (scope_no, session_id, position) JOIN memories m ON m.id = t.memory_id;

-- read_session --
-- A session's turns in order, each as it reads now; those of several projects one project after the other, those of none
-- first. $1 session, $2 project or null for all; rows of `Turn`.
WITH RECURSIVE said AS (
    SELECT t.id, m.content, m.superseded_by
    FROM agent_conversations t JOIN memories m ON m.id = t.memory_id
    WHERE t.session_id = $1
    UNION ALL
    SELECT said.id, m.content, m.superseded_by FROM said JOIN memories m ON m.id = said.superseded_by
)
SELECT t.position, t.role, t.speaker, said.content, t.agent_id, t.metadata, t.branch, t.model, t.profile, t.occurred_at,
       t.memory_id
FROM agent_conversations t JOIN said USING (id)
JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
WHERE said.superseded_by IS NULL AND ($2::text IS NULL OR p.name = $2)
ORDER BY p.name NULLS FIRST, t.scope_no, t.position;

-- list_sessions --
-- Sessions, the one with the newest turn first. $1 project, $2 agent, $3 since, $4 until, each or null; $5 and $6 the time
-- and number that the page before ended with, or null; $7 limit; rows of `Session`.
WITH listed AS (
    SELECT t.session_id, p.name AS project, array_remove(array_agg(DISTINCT t.agent_id), NULL) AS agents,
           array_remove(array_agg(DISTINCT t.model), NULL) AS models, count(*) AS turns,
           min(t.occurred_at) AS first_at, max(t.occurred_at) AS last_at, max(m.memory_no) AS last_no,
           (array_agg(t.memory_id ORDER BY t.role <> 'user', t.position))[1] AS opening_id
    FROM agent_conversations t JOIN memories m ON m.id = t.memory_id
    JOIN scopes s ON s.scope_no = t.scope_no LEFT JOIN projects p ON p.id = s.project_id
    WHERE ($1::text IS NULL OR p.name = $1)
    GROUP BY t.session_id, p.name
    HAVING ($2::text IS NULL OR $2 = ANY (array_agg(t.agent_id)))
       AND ($3::timestamptz IS NULL OR max(t.occurred_at) >= $3)
       AND ($4::timestamptz IS NULL OR min(t.occurred_at) < $4)
       AND ($5::timestamptz IS NULL OR (max(t.occurred_at), max(m.memory_no)) < ($5, $6::bigint))
    ORDER BY last_at DESC, last_no DESC LIMIT $7
)
SELECT session_id, project, agents, models, turns, first_at, last_at, last_no, said.opening
FROM listed CROSS JOIN LATERAL (
    WITH RECURSIVE corrected AS (
        SELECT m.content, m.superseded_by FROM memories m WHERE m.id = listed.opening_id
        UNION ALL
        SELECT m.content, m.superseded_by FROM corrected c JOIN memories m ON m.id = c.superseded_by
    )
    SELECT left(content, 200) AS opening FROM corrected WHERE superseded_by IS NULL
) said
ORDER BY last_at DESC, last_no DESC;

-- place_run --
-- Where a run of an agent begins in its session: where it was recorded before, else behind all turns. $1 session,
-- $2 run; (position).
SELECT coalesce(min(position) FILTER (WHERE metadata ->> 'run_id' = $2), max(position) + 1, 0) AS position
FROM agent_conversations WHERE session_id = $1;

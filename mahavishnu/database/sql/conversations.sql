-- add_turn --
-- Note a turn unless it is there. $1 id, $2 scope, $3 session, $4 position, $5 agent, $6 role, $7 speaker,
-- $8 memory id, $9 time; no rows.
INSERT INTO agent_conversations (id, scope_no, session_id, position, agent_id, role, speaker, memory_id, occurred_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT ON CONSTRAINT agent_conversations_position DO NOTHING;

-- read_session --
-- A session's turns in order. $1 session; (position, role, speaker, content).
SELECT t.position, t.role, t.speaker, m.content
FROM agent_conversations t JOIN memories m ON m.id = t.memory_id
WHERE t.session_id = $1 ORDER BY t.position;

-- What belongs to turns, imports, executions and metrics, and one readable view for each of the five tables.

-- The rows of every owner are brought along, so that row-level security does not bind the migration. It does again
-- at the end, in the same transaction.
ALTER TABLE agent_conversations NO FORCE ROW LEVEL SECURITY;
ALTER TABLE workflow_executions NO FORCE ROW LEVEL SECURITY;
ALTER TABLE rag_ingestions NO FORCE ROW LEVEL SECURITY;

ALTER TABLE agent_conversations
    ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}'
        CONSTRAINT agent_conversations_metadata CHECK (jsonb_typeof(metadata) = 'object'),
    ADD COLUMN branch   text,
    ADD COLUMN model    text,
    ADD COLUMN profile  text;

-- Roles are a closed list. Another word of an older turn is what an agent called itself: it becomes the speaker where
-- there is none, and stays in the metadata.
UPDATE agent_conversations SET
    role = CASE
        WHEN lower(btrim(role)) IN ('user', 'assistant', 'system', 'tool') THEN lower(btrim(role))
        WHEN lower(btrim(role)) = 'human' THEN 'user'
        WHEN lower(btrim(role)) = 'developer' THEN 'system'
        WHEN lower(btrim(role)) = 'function' THEN 'tool'
        ELSE 'assistant'
    END,
    speaker = coalesce(speaker, role),
    metadata = jsonb_build_object('former_role', role)
WHERE role NOT IN ('user', 'assistant', 'system', 'tool');
ALTER TABLE agent_conversations
    ADD CONSTRAINT agent_conversations_role CHECK (role IN ('user', 'assistant', 'system', 'tool'));

-- `source` goes on to say what was read, `repo_path` where a repository's files are. `repo_id` is what its memories have
-- as such, `commit_id` the commit that was read; `metadata` tells how the source is recognised again.
ALTER TABLE rag_ingestions
    ADD COLUMN repo_id          text,
    ADD COLUMN repo_path        text,
    ADD COLUMN commit_id        text,
    ADD COLUMN documents_count  integer NOT NULL DEFAULT 0
        CONSTRAINT rag_ingestions_documents_count CHECK (documents_count >= 0),
    ADD COLUMN chunks_count     integer NOT NULL DEFAULT 0
        CONSTRAINT rag_ingestions_chunks_count CHECK (chunks_count >= 0),
    ADD COLUMN metadata         jsonb NOT NULL DEFAULT '{}'
        CONSTRAINT rag_ingestions_metadata CHECK (jsonb_typeof(metadata) = 'object');
-- Sections and commits were counted, files were not.
UPDATE rag_ingestions SET
    repo_path = source,
    documents_count = CASE WHEN kind = 'git' THEN seen ELSE 0 END,
    chunks_count = seen,
    commit_id = CASE WHEN kind = 'git' THEN cursor END;
CREATE INDEX rag_ingestions_repo ON rag_ingestions (repo_id, started_at DESC) WHERE repo_id IS NOT NULL;

ALTER TABLE workflow_executions
    ADD COLUMN metadata    jsonb NOT NULL DEFAULT '{}'
        CONSTRAINT workflow_executions_metadata CHECK (jsonb_typeof(metadata) = 'object'),
    ADD COLUMN created_at  timestamptz NOT NULL DEFAULT now(),
    DROP CONSTRAINT workflow_executions_status,
    ADD CONSTRAINT workflow_executions_status
        CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled', 'crashed'));
UPDATE workflow_executions SET created_at = started_at;

-- A measurement is one value with its unit; a sample is several figures at once, or a text such as "healthy".
ALTER TABLE performance_metrics
    ALTER COLUMN value DROP NOT NULL,
    ALTER COLUMN unit DROP NOT NULL,
    ADD COLUMN figures  jsonb NOT NULL DEFAULT '{}'
        CONSTRAINT performance_metrics_figures CHECK (jsonb_typeof(figures) = 'object'),
    ADD COLUMN text     text,
    ADD CONSTRAINT performance_metrics_content CHECK (value IS NOT NULL OR text IS NOT NULL OR figures <> '{}'),
    ADD CONSTRAINT performance_metrics_unit CHECK ((value IS NULL) = (unit IS NULL));
CREATE INDEX performance_metrics_source ON performance_metrics (source, recorded_at DESC);

ALTER TABLE agent_conversations FORCE ROW LEVEL SECURITY;
ALTER TABLE workflow_executions FORCE ROW LEVEL SECURITY;
ALTER TABLE rag_ingestions FORCE ROW LEVEL SECURITY;

-- The vector of a memory's beginning under the active model; null where there is none. One look-up a row: a search
-- over many rows joins the model's own table.
CREATE FUNCTION embedding_of(wanted bigint) RETURNS vector LANGUAGE plpgsql STABLE AS $$
DECLARE
    model integer;
    found vector;
BEGIN
    SELECT model_no INTO model FROM embedding_models WHERE state = 'active';
    IF model IS NOT NULL THEN
        EXECUTE format('SELECT embedding::vector FROM embeddings_%s WHERE memory_no = $1 ORDER BY chunk_no LIMIT 1', model)
        INTO found USING wanted;
    END IF;
    RETURN found;
END $$;

-- For SQL of one's own: names that everybody uses, one row for each thing. They show what their reader may see.
CREATE VIEW memories_view WITH (security_invoker = true) AS
SELECT m.id, m.content, embedding_of(m.memory_no) AS embedding, m.memory_type, m.source_system, m.agent_id,
       m.workflow_id, m.repo_id, m.metadata, m.stored_at AS created_at, m.stored_at AS updated_at
FROM memories m
WHERE m.superseded_by IS NULL AND (m.expires_at IS NULL OR m.expires_at > now());

-- A turn reads as its memory does now: the last of its corrections.
CREATE VIEW agent_conversations_view WITH (security_invoker = true) AS
WITH RECURSIVE said AS (
    SELECT t.id, m.content, m.superseded_by FROM agent_conversations t JOIN memories m ON m.id = t.memory_id
    UNION ALL
    SELECT said.id, m.content, m.superseded_by FROM said JOIN memories m ON m.id = said.superseded_by
)
SELECT t.id, t.agent_id, t.session_id, t.role, said.content, t.metadata, t.occurred_at AS created_at,
       t.position, t.speaker, t.branch, t.model, t.profile
FROM agent_conversations t JOIN said USING (id) WHERE said.superseded_by IS NULL;

CREATE VIEW rag_ingestions_view WITH (security_invoker = true) AS
SELECT id, repo_id, repo_path, documents_count, chunks_count, status, metadata, started_at AS created_at, started_at,
       finished_at AS completed_at, error AS error_message
FROM rag_ingestions;

CREATE VIEW workflow_executions_view WITH (security_invoker = true) AS
SELECT id, workflow_id, adapter, repositories AS repos, status, result,
       extract(epoch FROM duration)::double precision AS duration_seconds, error AS error_message, metadata, created_at,
       execution_id, started_at, finished_at AS completed_at
FROM workflow_executions;

CREATE VIEW performance_metrics_view WITH (security_invoker = true) AS
SELECT id, source AS component, name AS metric_type,
       figures || jsonb_strip_nulls(jsonb_build_object('value', value, 'unit', unit, 'text', text)) AS metrics,
       recorded_at AS "timestamp", labels AS metadata
FROM performance_metrics;

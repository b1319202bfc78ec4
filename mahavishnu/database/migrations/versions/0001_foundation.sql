-- Everything the first release stores. Visibility has one rule, on `scopes`; every table that holds
-- users' rows carries `scope_no` and follows it.

CREATE TABLE projects (
    id          uuid PRIMARY KEY,
    name        text NOT NULL CONSTRAINT projects_name_length CHECK (length(name) BETWEEN 1 AND 200),
    owner       text NOT NULL DEFAULT current_user,
    visibility  text NOT NULL DEFAULT 'private'
                CONSTRAINT projects_visibility CHECK (visibility IN ('private', 'shared')),
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT projects_owner_name UNIQUE (owner, name)
);

-- How a project is recognised: by path, by normalised remote, by root commit.
CREATE TABLE project_aliases (
    project_id  uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    kind        text NOT NULL CONSTRAINT project_aliases_kind CHECK (kind IN ('path', 'remote', 'root')),
    value       text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, value, project_id)
);

-- Who may see a row and where it belongs, as one number. Small: owners x projects x collections.
CREATE TABLE scopes (
    scope_no    integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner       text NOT NULL DEFAULT current_user,
    visibility  text NOT NULL DEFAULT 'private'
                CONSTRAINT scopes_visibility CHECK (visibility IN ('private', 'shared')),
    project_id  uuid REFERENCES projects,
    collection  text NOT NULL CONSTRAINT scopes_collection CHECK (
                collection IN ('note', 'conversation', 'document', 'code', 'execution', 'insight')),
    CONSTRAINT scopes_identity UNIQUE NULLS NOT DISTINCT (owner, visibility, project_id, collection),
    CONSTRAINT scopes_collection_key UNIQUE (scope_no, collection)
);

CREATE TABLE memories (
    id              uuid PRIMARY KEY,
    memory_no       bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT memories_memory_no UNIQUE,
    scope_no        integer NOT NULL,
    collection      text NOT NULL,
    memory_type     text NOT NULL GENERATED ALWAYS AS (
                    CASE collection
                        WHEN 'note' THEN 'agent' WHEN 'conversation' THEN 'agent'
                        WHEN 'document' THEN 'rag' WHEN 'code' THEN 'rag'
                        WHEN 'execution' THEN 'workflow' ELSE 'insight'
                    END) STORED,
    source_system   text NOT NULL CONSTRAINT memories_source_system CHECK (length(source_system) BETWEEN 1 AND 200),
    source_key      text NOT NULL DEFAULT '' CONSTRAINT memories_source_key CHECK (length(source_key) <= 1000),
    agent_id        text,
    workflow_id     text,
    repo_id         text,
    session_id      text,
    content         text NOT NULL CONSTRAINT memories_content_size
                    CHECK (octet_length(content) BETWEEN 1 AND 1048576),
    context         text NOT NULL DEFAULT '',
    content_hash    bytea NOT NULL CONSTRAINT memories_content_hash CHECK (octet_length(content_hash) = 32),
    metadata        jsonb NOT NULL DEFAULT '{}' CONSTRAINT memories_metadata CHECK (jsonb_typeof(metadata) = 'object'),
    path            text,
    commit_id       text,
    occurred_at     timestamptz NOT NULL DEFAULT now(),
    stored_at       timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz,
    superseded_by   uuid,  -- no foreign key: forgetting the successor must not revive what it replaced
    CONSTRAINT memories_scope FOREIGN KEY (scope_no, collection) REFERENCES scopes (scope_no, collection),
    CONSTRAINT memories_not_its_own_successor CHECK (superseded_by <> id)
);
CREATE UNIQUE INDEX memories_live_content ON memories (scope_no, source_key, content_hash) WHERE superseded_by IS NULL;
CREATE INDEX memories_shown_id ON memories (right(id::text, 8));
CREATE INDEX memories_type_date ON memories (memory_type, occurred_at DESC);
CREATE INDEX memories_scope_date ON memories (scope_no, occurred_at DESC, memory_no DESC);
CREATE INDEX memories_agent ON memories (agent_id, occurred_at DESC) WHERE agent_id IS NOT NULL;
CREATE INDEX memories_workflow ON memories (workflow_id, occurred_at DESC) WHERE workflow_id IS NOT NULL;
CREATE INDEX memories_repo ON memories (repo_id, occurred_at DESC) WHERE repo_id IS NOT NULL;
CREATE INDEX memories_metadata ON memories USING gin (metadata jsonb_path_ops);
CREATE INDEX memories_superseded ON memories (superseded_by) WHERE superseded_by IS NOT NULL;
CREATE INDEX memories_expiry ON memories (expires_at) WHERE expires_at IS NOT NULL;

-- The full-text index: one row for each distinct term of a live memory. An inverted index of our own,
-- because a tsvector's operators are not leakproof and so useless under row-level security.
CREATE TABLE postings (
    term        text COLLATE "C" NOT NULL,
    memory_no   bigint NOT NULL,
    scope_no    integer NOT NULL,
    frequency   smallint NOT NULL,
    length      smallint NOT NULL,
    CONSTRAINT postings_pkey PRIMARY KEY (term, memory_no) INCLUDE (scope_no, frequency, length)
);
CREATE INDEX postings_memory ON postings (memory_no);

-- The identity of each embedding model ever used; vectors of a model live in `embeddings_<model_no>`.
CREATE TABLE embedding_models (
    model_no         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider         text NOT NULL,
    name             text NOT NULL,
    revision         text NOT NULL DEFAULT '',
    dimensions       integer NOT NULL CONSTRAINT embedding_models_dimensions CHECK (dimensions BETWEEN 1 AND 4000),
    document_prefix  text NOT NULL DEFAULT '',
    query_prefix     text NOT NULL DEFAULT '',
    window_tokens    integer NOT NULL,
    state            text NOT NULL CONSTRAINT embedding_models_state CHECK (state IN ('filling', 'active', 'retired')),
    created_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT embedding_models_identity
        UNIQUE (provider, name, revision, dimensions, document_prefix, query_prefix)
);
CREATE UNIQUE INDEX embedding_models_one_active ON embedding_models ((true)) WHERE state = 'active';

-- Live memories without vectors of the active model, oldest first.
CREATE TABLE embedding_queue (
    memory_no   bigint PRIMARY KEY REFERENCES memories (memory_no) ON DELETE CASCADE,
    scope_no    integer NOT NULL,
    failures    smallint NOT NULL DEFAULT 0,  -- times its text was at fault
    queued_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE agent_conversations (
    id           uuid PRIMARY KEY,
    scope_no     integer NOT NULL REFERENCES scopes,
    session_id   text NOT NULL,
    position     integer NOT NULL CONSTRAINT agent_conversations_position_range CHECK (position >= 0),
    agent_id     text,
    role         text NOT NULL,
    speaker      text,
    memory_id    uuid NOT NULL REFERENCES memories ON DELETE CASCADE,
    occurred_at  timestamptz NOT NULL,
    stored_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT agent_conversations_position UNIQUE (scope_no, session_id, position)
);
CREATE INDEX agent_conversations_memory ON agent_conversations (memory_id);
CREATE INDEX agent_conversations_agent ON agent_conversations (agent_id, occurred_at DESC) WHERE agent_id IS NOT NULL;

CREATE TABLE rag_ingestions (
    id             uuid PRIMARY KEY,
    scope_no       integer NOT NULL REFERENCES scopes,
    source         text NOT NULL,
    kind           text NOT NULL,
    status         text NOT NULL CONSTRAINT rag_ingestions_status
                   CHECK (status IN ('pending', 'in_progress', 'completed', 'failed')),
    cursor         text,
    seen           integer NOT NULL DEFAULT 0,
    stored         integer NOT NULL DEFAULT 0,
    skipped        jsonb NOT NULL DEFAULT '{}',
    error          text,
    started_at     timestamptz NOT NULL DEFAULT now(),
    finished_at    timestamptz
);
CREATE INDEX rag_ingestions_source ON rag_ingestions (source, kind, started_at DESC);

CREATE TABLE workflow_executions (
    id             uuid PRIMARY KEY,
    scope_no       integer NOT NULL REFERENCES scopes,
    execution_id   text NOT NULL,
    workflow_id    text NOT NULL,
    adapter        text NOT NULL,
    repositories   text[] NOT NULL DEFAULT '{}',
    status         text NOT NULL CONSTRAINT workflow_executions_status
                   CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    result         jsonb,
    error          text,
    started_at     timestamptz NOT NULL,
    finished_at    timestamptz,
    duration       interval GENERATED ALWAYS AS (finished_at - started_at) STORED,
    memory_id      uuid REFERENCES memories ON DELETE SET NULL,
    CONSTRAINT workflow_executions_identity UNIQUE (scope_no, adapter, execution_id),
    CONSTRAINT workflow_executions_order CHECK (finished_at >= started_at)
);
CREATE INDEX workflow_executions_workflow ON workflow_executions (workflow_id, started_at DESC);
CREATE INDEX workflow_executions_memory ON workflow_executions (memory_id) WHERE memory_id IS NOT NULL;

CREATE TABLE performance_metrics (
    id           uuid PRIMARY KEY,
    scope_no     integer NOT NULL REFERENCES scopes,
    source       text NOT NULL,
    name         text NOT NULL,
    value        double precision NOT NULL,
    unit         text NOT NULL,
    labels       jsonb NOT NULL DEFAULT '{}',
    recorded_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX performance_metrics_name ON performance_metrics (name, recorded_at DESC);

-- What happened to memories, for consumers that follow along: read up to pg_snapshot_xmin, by change_no.
CREATE TABLE changes (
    change_no   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    scope_no    integer NOT NULL,
    memory_id   uuid NOT NULL,
    kind        text NOT NULL CONSTRAINT changes_kind CHECK (kind IN ('stored', 'superseded', 'forgotten')),
    changed_at  timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION record_stored() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (scope_no, memory_id, kind) SELECT scope_no, id, 'stored' FROM arrived;
    RETURN NULL;
END $$;
CREATE FUNCTION record_superseded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (scope_no, memory_id, kind)
    SELECT b.scope_no, b.id, 'superseded' FROM before b JOIN after a USING (id)
    WHERE b.superseded_by IS NULL AND a.superseded_by IS NOT NULL;
    RETURN NULL;
END $$;
CREATE FUNCTION record_forgotten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (scope_no, memory_id, kind) SELECT scope_no, id, 'forgotten' FROM gone;
    DELETE FROM postings WHERE memory_no IN (SELECT memory_no FROM gone);
    RETURN NULL;
END $$;
CREATE TRIGGER memories_stored AFTER INSERT ON memories
    REFERENCING NEW TABLE AS arrived FOR EACH STATEMENT EXECUTE FUNCTION record_stored();
CREATE TRIGGER memories_superseded AFTER UPDATE ON memories
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION record_superseded();
CREATE TRIGGER memories_forgotten AFTER DELETE ON memories
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION record_forgotten();

-- Row-level security. Forced, so that it binds the owner of the tables too.
ALTER TABLE scopes ENABLE ROW LEVEL SECURITY;
ALTER TABLE scopes FORCE ROW LEVEL SECURITY;
CREATE POLICY scopes_see ON scopes FOR SELECT USING (owner = current_user OR visibility = 'shared');
CREATE POLICY scopes_add ON scopes FOR INSERT WITH CHECK (owner = current_user);
CREATE POLICY scopes_change ON scopes FOR UPDATE USING (owner = current_user) WITH CHECK (owner = current_user);
CREATE POLICY scopes_remove ON scopes FOR DELETE USING (owner = current_user);

ALTER TABLE projects ENABLE ROW LEVEL SECURITY;
ALTER TABLE projects FORCE ROW LEVEL SECURITY;
-- A project is seen by whoever sees something in it.
CREATE POLICY projects_see ON projects FOR SELECT USING (
    owner = current_user OR visibility = 'shared' OR id IN (SELECT project_id FROM scopes));
CREATE POLICY projects_add ON projects FOR INSERT WITH CHECK (owner = current_user);
CREATE POLICY projects_change ON projects FOR UPDATE USING (owner = current_user) WITH CHECK (owner = current_user);
CREATE POLICY projects_remove ON projects FOR DELETE USING (owner = current_user);

ALTER TABLE project_aliases ENABLE ROW LEVEL SECURITY;
ALTER TABLE project_aliases FORCE ROW LEVEL SECURITY;
CREATE POLICY project_aliases_see ON project_aliases FOR SELECT
    USING (project_id IN (SELECT id FROM projects));
CREATE POLICY project_aliases_add ON project_aliases FOR INSERT
    WITH CHECK (project_id IN (SELECT id FROM projects WHERE owner = current_user));
CREATE POLICY project_aliases_remove ON project_aliases FOR DELETE
    USING (project_id IN (SELECT id FROM projects WHERE owner = current_user));

-- Every table with a scope: readable where the scope is, writable where the scope is one's own.
-- Used by later migrations and for each new table of vectors too.
CREATE FUNCTION follow_scopes(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    own CONSTANT text := '(scope_no IN (SELECT scope_no FROM scopes WHERE owner = current_user))';
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', relation);
    EXECUTE format('CREATE POLICY follows_scope_see ON %s FOR SELECT '
                   'USING (scope_no IN (SELECT scope_no FROM scopes))', relation);
    EXECUTE format('CREATE POLICY follows_scope_add ON %s FOR INSERT WITH CHECK %s', relation, own);
    EXECUTE format('CREATE POLICY follows_scope_change ON %s FOR UPDATE USING %s WITH CHECK %s', relation, own, own);
    EXECUTE format('CREATE POLICY follows_scope_remove ON %s FOR DELETE USING %s', relation, own);
END $$;
SELECT follow_scopes(relation) FROM unnest(ARRAY[
    'memories', 'postings', 'embedding_queue', 'agent_conversations', 'rag_ingestions',
    'workflow_executions', 'performance_metrics', 'changes']::regclass[]) AS relation;

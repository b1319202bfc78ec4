-- Tombstones: what was forgotten, until it is restored or its time is over. In tables of their own, so that no search, list,
-- index or duplicate meets them. The columns are those of `memories`, but for the type, which follows from the collection.
CREATE TABLE forgotten_memories (LIKE memories);
ALTER TABLE forgotten_memories
    DROP COLUMN memory_type,
    ADD COLUMN turns             jsonb,  -- of conversations, and what executions said: taken out of their tables meanwhile
    ADD COLUMN executions        jsonb,
    ADD COLUMN forgotten_at      timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN restorable_until  timestamptz NOT NULL,
    ADD CONSTRAINT forgotten_memories_pkey PRIMARY KEY (memory_no),
    ADD CONSTRAINT forgotten_memories_scope FOREIGN KEY (scope_no, collection) REFERENCES scopes (scope_no, collection);
CREATE INDEX forgotten_memories_id ON forgotten_memories (id);
CREATE INDEX forgotten_memories_successor ON forgotten_memories (superseded_by) WHERE superseded_by IS NOT NULL;
CREATE INDEX forgotten_memories_content ON forgotten_memories (scope_no, source_key, content_hash);
CREATE INDEX forgotten_memories_end ON forgotten_memories (restorable_until);

-- Their vectors, in no graph: those that a caller brought could not be made again.
CREATE TABLE forgotten_vectors (
    memory_no   bigint NOT NULL REFERENCES forgotten_memories ON DELETE CASCADE,
    model_no    integer NOT NULL REFERENCES embedding_models,
    chunk_no    integer NOT NULL,
    scope_no    integer NOT NULL,
    char_start  integer NOT NULL,
    char_end    integer NOT NULL,
    embedding   halfvec NOT NULL,
    CONSTRAINT forgotten_vectors_pkey PRIMARY KEY (memory_no, model_no, chunk_no)
);

-- One's own alone: what somebody shared, and then forgot, is not for others to read.
DO $$
DECLARE
    relation text;
BEGIN
    FOREACH relation IN ARRAY ARRAY['forgotten_memories', 'forgotten_vectors'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', relation);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relation);
        EXECUTE format('CREATE POLICY %I ON %I USING (scope_no IN (SELECT scope_no FROM scopes WHERE owner = current_user))',
                       relation || '_own', relation);
    END LOOP;
END $$;

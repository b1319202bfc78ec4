-- An id that was given out for a write in the spool, where the database had the same already: it leads there.

CREATE TABLE aliases (
    owner         text NOT NULL DEFAULT current_user,
    id            uuid NOT NULL,
    memory_id     uuid REFERENCES memories ON DELETE CASCADE,
    execution_id  uuid REFERENCES workflow_executions ON DELETE CASCADE,
    created_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT aliases_pkey PRIMARY KEY (owner, id),
    CONSTRAINT aliases_leads_to_one CHECK (num_nonnulls(memory_id, execution_id) = 1)
);
CREATE INDEX aliases_memory ON aliases (memory_id);
CREATE INDEX aliases_execution ON aliases (execution_id);

ALTER TABLE aliases ENABLE ROW LEVEL SECURITY;
ALTER TABLE aliases FORCE ROW LEVEL SECURITY;
CREATE POLICY aliases_own ON aliases USING (owner = current_user) WITH CHECK (owner = current_user);

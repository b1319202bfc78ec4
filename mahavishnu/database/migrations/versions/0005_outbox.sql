-- `changes` is the outbox. What is added: an index to read it by transaction, who reads it, and what was refused.
CREATE INDEX changes_xid ON changes (xid);

-- Delivered are all changes of transactions below from_xid, and of those from there to to_xid the ones up to after_no.
CREATE TABLE outbox_targets (
    owner         text NOT NULL DEFAULT current_user,
    name          text NOT NULL CONSTRAINT outbox_targets_name_length CHECK (length(name) BETWEEN 1 AND 500),
    instance      text NOT NULL DEFAULT '',  -- what is behind the name; another one is given everything
    server        text NOT NULL DEFAULT '',  -- whose transactions the position counts
    from_xid      xid8 NOT NULL DEFAULT '0',
    to_xid        xid8 NOT NULL DEFAULT '0',
    after_no      bigint NOT NULL DEFAULT 0,
    delivered     bigint NOT NULL DEFAULT 0,
    delivered_at  timestamptz,
    attempts      integer NOT NULL DEFAULT 0,  -- that failed since something was delivered
    next_at       timestamptz,
    refused_no    bigint,  -- the change that was refused last, and how often
    refusals      integer NOT NULL DEFAULT 0,
    error_code    text,
    error         text,
    CONSTRAINT outbox_targets_pkey PRIMARY KEY (owner, name)
);

-- What a target refused for good: of each memory the last such change, since its present state is delivered.
CREATE TABLE outbox_dead_letters (
    owner       text NOT NULL DEFAULT current_user,
    target      text NOT NULL,
    memory_id   uuid NOT NULL,
    change_no   bigint NOT NULL,
    attempts    integer NOT NULL,
    error_code  text NOT NULL,
    error       text NOT NULL,
    failed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT outbox_dead_letters_pkey PRIMARY KEY (owner, target, memory_id),
    CONSTRAINT outbox_dead_letters_target FOREIGN KEY (owner, target) REFERENCES outbox_targets ON DELETE CASCADE
);

ALTER TABLE outbox_targets ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox_targets FORCE ROW LEVEL SECURITY;
CREATE POLICY outbox_targets_own ON outbox_targets USING (owner = current_user) WITH CHECK (owner = current_user);
ALTER TABLE outbox_dead_letters ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox_dead_letters FORCE ROW LEVEL SECURITY;
CREATE POLICY outbox_dead_letters_own ON outbox_dead_letters
    USING (owner = current_user) WITH CHECK (owner = current_user);

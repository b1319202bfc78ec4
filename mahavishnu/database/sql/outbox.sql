-- find_target --
-- How far a target is. $1 name, $2 the longest delay in seconds; (owner, name, instance, from_xid, to_xid, after_no,
-- attempts, refused_no, refusals, the server that the position is of, that of now, the transaction below which all have
-- ended, whether an attempt is due). One that is further away than any delay is due: the clock was set back.
SELECT owner, name, instance, from_xid, to_xid, after_no, attempts, refused_no, refusals, server,
       (SELECT system_identifier::text FROM pg_control_system())
       || '/' || (SELECT oid::text FROM pg_database WHERE datname = current_database()) AS server_now,
       pg_snapshot_xmin(pg_current_snapshot()) AS horizon,
       next_at IS NULL OR next_at <= clock_timestamp()
       OR next_at > clock_timestamp() + make_interval(secs => $2::float8) AS due
FROM outbox_targets WHERE owner = current_user AND name = $1;

-- add_target --
-- Note that a target reads the feed. $1 name.
INSERT INTO outbox_targets (name) VALUES ($1) ON CONFLICT (owner, name) DO NOTHING;

-- begin_target --
-- Let a target read from the beginning. $1 name, $2 instance, $3 server.
UPDATE outbox_targets SET instance = $2, server = $3, from_xid = '0', to_xid = '0', after_no = 0, refused_no = NULL, refusals = 0
WHERE owner = current_user AND name = $1;

-- adopt_changes --
-- Give one's own changes from another server, whose transactions had higher numbers than this one has reached, a transaction
-- of this one: after a restore.
UPDATE changes SET xid = pg_current_xact_id()
WHERE xid >= pg_snapshot_xmax(pg_current_snapshot()) AND scope_no = ANY (ARRAY(SELECT scope_no FROM scopes WHERE owner = current_user));

-- read_horizon --
-- The transaction below which all have ended, of the whole server.
SELECT pg_snapshot_xmin(pg_current_snapshot());

-- read_window --
-- The next of the caller's own changes in a window of transactions that have ended, by number: within a memory that is their
-- order. $1 and $2 the window, $3 after which number, $4 how many, $5 collections or null for all; (change_no, xid, kind,
-- memory_id, changed_at).
SELECT change_no, xid, kind, memory_id, changed_at FROM changes
WHERE xid >= $1::xid8 AND xid < $2::xid8 AND change_no > $3
    AND scope_no = ANY (ARRAY(SELECT scope_no FROM scopes
                              WHERE owner = current_user AND ($5::text[] IS NULL OR collection = ANY ($5))))
ORDER BY change_no LIMIT $4;

-- move_target --
-- Note what was delivered, unless somebody else did meanwhile; what a target takes of a memory ends its dead letter. $1 name,
-- $2 to $4 the position before, $5 to $7 after, $8 memories that it took; (whether it was noted).
WITH moved AS (
    UPDATE outbox_targets SET from_xid = $5, to_xid = $6, after_no = $7, delivered = delivered + cardinality($8::uuid[]),
        delivered_at = CASE WHEN $8 <> '{}' THEN clock_timestamp() ELSE delivered_at END, attempts = 0, next_at = NULL, refused_no = NULL, refusals = 0, error_code = NULL,
        error = NULL
    WHERE owner = current_user AND name = $1 AND (from_xid, to_xid, after_no) = ($2::xid8, $3::xid8, $4::bigint)
    RETURNING name
), mended AS (
    DELETE FROM outbox_dead_letters d USING moved
    WHERE d.owner = current_user AND d.target = moved.name AND d.memory_id = ANY ($8)
)
SELECT EXISTS (SELECT FROM moved);

-- note_failure --
-- Note that a target failed, and when it is tried again: after anything up to a bound that doubles ("full jitter", Brooker,
-- "Exponential Backoff And Jitter"). $1 name, $2 the first bound in seconds, $3 the last one, $4 the change that it refused
-- or NULL, $5 how often, $6 code, $7 message.
UPDATE outbox_targets SET attempts = attempts + 1, refused_no = $4, refusals = $5, error_code = $6, error = $7,
    next_at = clock_timestamp() + random() * make_interval(secs => least($3::float8, $2 * 2 ^ least(attempts, 30)))
WHERE owner = current_user AND name = $1;

-- bury --
-- Keep what a target refused for good. $1 target, $2 memory, $3 change, $4 attempts, $5 code, $6 message.
INSERT INTO outbox_dead_letters (target, memory_id, change_no, attempts, error_code, error) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (owner, target, memory_id) DO UPDATE SET change_no = EXCLUDED.change_no,
    attempts = outbox_dead_letters.attempts + EXCLUDED.attempts, error_code = EXCLUDED.error_code, error = EXCLUDED.error,
    failed_at = clock_timestamp();

-- find_dead --
-- Dead letters, oldest first. $1 target or NULL, $2 digits that the ids of their memories end with, or NULL, $3 how many;
-- (target, memory_id, change_no, attempts, error_code, error, failed_at, xid, kind, changed_at).
SELECT d.target, d.memory_id, d.change_no, d.attempts, d.error_code, d.error, d.failed_at, c.xid, c.kind, c.changed_at
FROM outbox_dead_letters d JOIN changes c USING (change_no)
WHERE d.owner = current_user AND ($1::text IS NULL OR d.target = $1) AND ($2::text[] IS NULL OR EXISTS (
    SELECT FROM unnest($2) AS wanted WHERE replace(d.memory_id::text, '-', '') LIKE '%' || wanted))
ORDER BY d.target, d.failed_at LIMIT $3;

-- drop_dead --
-- Take dead letters out. $1 target, $2 memories.
DELETE FROM outbox_dead_letters WHERE owner = current_user AND target = $1 AND memory_id = ANY ($2::uuid[]);

-- drop_target --
-- Forget a target, with its dead letters. $1 name.
DELETE FROM outbox_targets WHERE owner = current_user AND name = $1;

-- count_dead --
-- How many dead letters the caller has; one number.
SELECT count(*) FROM outbox_dead_letters WHERE owner = current_user;

-- list_targets --
-- The caller's targets, and those of $1 that have not begun. $2 how far changes are counted, $3 for each of $1 the
-- collections that it takes, with commas between, or null for all; (name, delivered, delivered_at,
-- attempts, next_at, error_code, error, changes that it lacks, how many of those wait for transactions that are still open,
-- dead letters).
SELECT name, coalesce(t.delivered, 0) AS delivered, t.delivered_at, coalesce(t.attempts, 0) AS attempts, t.next_at,
       t.error_code, t.error, lacks.pending, lacks.held_back,
       (SELECT count(*) FROM outbox_dead_letters d WHERE d.owner = t.owner AND d.target = t.name) AS dead
FROM (SELECT * FROM outbox_targets WHERE owner = current_user) AS t
FULL JOIN unnest($1::text[], $3::text[]) AS wanted (name, collections) USING (name)
CROSS JOIN LATERAL (
    SELECT count(*) AS pending, count(*) FILTER (WHERE xid >= pg_snapshot_xmin(pg_current_snapshot())) AS held_back
    FROM (
        SELECT c.xid FROM changes c
        WHERE c.xid >= coalesce(t.from_xid, '0') AND (c.xid >= coalesce(t.to_xid, '0') OR c.change_no > t.after_no)
            AND c.scope_no = ANY (ARRAY(
                SELECT scope_no FROM scopes WHERE owner = current_user
                    AND (wanted.collections IS NULL OR collection = ANY (string_to_array(wanted.collections, ',')))))
        LIMIT $2
    ) AS lacking
) AS lacks
ORDER BY name;

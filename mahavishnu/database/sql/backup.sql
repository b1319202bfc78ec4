-- may_read_all --
-- Whether row-level security leaves out nothing for the caller; one value.
SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user;

-- may_create --
-- Whether the caller may make databases; one value.
SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user;

-- find_tables --
-- Every table with rows of its own, and what its rows are compared by: built-in types in their binary form,
-- others by what sends them, because the number of such a type differs between databases; (name, columns).
SELECT format('%I.%I', n.nspname, c.relname) AS name,
       (SELECT string_agg(CASE
            WHEN t.oid < 16384 THEN format('%I', a.attname)
            WHEN t.typtype = 'b' AND t.typelem = 0
                THEN format('%I.%I(%I)', sn.nspname, s.proname, a.attname)
            ELSE format('%I::text', a.attname) END, ', ' ORDER BY a.attnum)
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
             LEFT JOIN pg_proc s ON s.oid = t.typsend LEFT JOIN pg_namespace sn ON sn.oid = s.pronamespace
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1;

-- find_structure --
-- What a database consists of besides rows, as lines that are alike on every server; (line).
WITH own AS (
    SELECT c.oid, c.relkind, c.relrowsecurity, c.relforcerowsecurity, format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND c.relpersistence <> 't'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
)
SELECT line FROM (
    SELECT format('table %s row security %s, forced %s', name, relrowsecurity, relforcerowsecurity) AS line
    FROM own WHERE relkind IN ('r', 'p')
    UNION ALL
    SELECT format('column %s.%I %s%s', name, a.attname, format_type(a.atttypid, a.atttypmod),
                  CASE WHEN a.attnotnull THEN ' not null' ELSE '' END)
    FROM own JOIN pg_attribute a ON a.attrelid = own.oid
    WHERE relkind IN ('r', 'p', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT format('index %s on %s%s', own.name, i.indrelid::regclass, CASE WHEN i.indisvalid THEN '' ELSE ', not valid' END)
    FROM own JOIN pg_index i ON i.indexrelid = own.oid
    UNION ALL
    SELECT format('constraint %I on %s', k.conname, name) FROM own JOIN pg_constraint k ON k.conrelid = own.oid
    WHERE k.contype <> 'n'
    UNION ALL
    SELECT format('policy %I on %s for %s', p.polname, name, p.polcmd) FROM own JOIN pg_policy p ON p.polrelid = own.oid
    UNION ALL
    SELECT format('trigger %I on %s', t.tgname, name) FROM own JOIN pg_trigger t ON t.tgrelid = own.oid WHERE NOT t.tgisinternal
    UNION ALL
    SELECT format('sequence %s', name) FROM own WHERE relkind = 'S'
    UNION ALL
    SELECT format('view %s', name) FROM own WHERE relkind IN ('v', 'm')
    UNION ALL
    SELECT format('function %I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid))
    FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
    WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.deptype = 'e')
) AS found ORDER BY line COLLATE "C";

-- find_members --
-- Roles besides the owner that may store memories: a role for backups, which may only read, is none; (role).
SELECT DISTINCT r.rolname::text AS role
FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee
WHERE c.oid = 'memories'::regclass AND a.grantee <> c.relowner AND a.privilege_type = 'INSERT' ORDER BY 1;

-- list_models --
-- Models of which there may be vectors; (model_no, provider, name, revision, dimensions, state).
SELECT model_no, provider, name, revision, dimensions, state FROM embedding_models ORDER BY model_no;

-- describe_source --
-- What a manifest says of a database with our schema; (postgresql, pgvector, revision, last_memory).
SELECT split_part(current_setting('server_version'), ' ', 1) AS postgresql,
       (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS pgvector,
       (SELECT version_num FROM alembic_version) AS revision,
       (SELECT coalesce(max(memory_no), 0) FROM memories) AS last_memory;

-- measure_present --
-- What a restore would replace. $1 the highest memory_no of the set; (memories, since, last_change, written).
-- Since: memories that were stored after the set was made. Written: what every write moves, in any table of ours; those of
-- a connection count at its end at the latest. Autovacuum moves nothing here.
SELECT (SELECT count(*) FROM memories) AS memories,
       (SELECT count(*) FROM memories WHERE memory_no > $1) AS since,
       (SELECT coalesce(max(change_no), 0) FROM changes) AS last_change,
       (SELECT md5(string_agg(concat_ws(',', s.relid, c.relfilenode, n_tup_ins, n_tup_upd, n_tup_del), ' ' ORDER BY s.relid))
        FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid) AS written;

-- count_written --
-- Rows that were ever written in a database, also by the server itself. $1 name; one value.
SELECT tup_inserted + tup_updated + tup_deleted FROM pg_stat_database WHERE datname = $1;

-- restart_changes --
-- After a restore: transaction numbers of another cluster mean nothing in this one, and could be higher.
-- Consumers read by change_no up to pg_snapshot_xmin, so that one number for all keeps their order.
-- A later table with such a number needs the same.
UPDATE changes SET xid = pg_current_xact_id();

-- find_restored_members --
-- Of the roles in $1 those that this server has; (role).
SELECT rolname::text AS role FROM pg_roles WHERE rolname = ANY ($1) ORDER BY 1;

-- describe_database --
-- How a database was made. $1 name; (owner, encoding, locale_collate, locale_ctype, provider).
SELECT pg_get_userbyid(datdba)::text AS owner, pg_encoding_to_char(encoding)::text AS encoding,
       datcollate AS locale_collate, datctype AS locale_ctype, datlocprovider::text AS provider
FROM pg_database WHERE datname = $1;

-- find_databases --
-- Databases by the beginning of their names. $1 beginning; (name).
SELECT datname::text AS name FROM pg_database WHERE starts_with(datname, $1) ORDER BY datname;

-- find_sessions --
-- Who is connected to a database. $1 name; (pid, role, application).
SELECT pid, usename::text AS role, application_name AS application
FROM pg_stat_activity
WHERE datname = $1 AND backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY backend_start;

-- sample_texts --
-- Live memories with words in the index, spread by their ids. $1 how many; (id, content).
SELECT m.id, m.content FROM memories m
WHERE m.superseded_by IS NULL AND (m.expires_at IS NULL OR m.expires_at > now())
  AND EXISTS (SELECT FROM postings p WHERE p.memory_no = m.memory_no)
ORDER BY md5(m.id::text) LIMIT $1;

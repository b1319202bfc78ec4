-- describe_models --
-- Each model, and what its vectors are kept in; (model_no, dimensions, name, active, kept: whether there is a table,
-- indexed: whether its graph is there and can be used).
SELECT model_no, dimensions, name, state = 'active' AS active,
       to_regclass('embeddings_' || model_no) IS NOT NULL AS kept,
       EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('embeddings_' || model_no || '_hnsw') AND indisvalid)
           AS indexed
FROM embedding_models ORDER BY model_no;

-- invalid_indexes --
-- Indexes of our tables that PostgreSQL does not use, other than those of whole tables of vectors; (name).
SELECT c.oid::regclass::text AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid AND c.relkind = 'i'
    AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'memories'::regclass)
ORDER BY 1;

-- dead_rows --
-- Tables with more dead rows than $1, and than a share of $2 of all rows; (name, dead, live).
SELECT relid::regclass::text AS name, n_dead_tup AS dead, n_live_tup AS live FROM pg_stat_user_tables
WHERE n_dead_tup > $1::bigint AND n_dead_tup > $2::float8 * (n_dead_tup + n_live_tup) ORDER BY n_dead_tup DESC;

-- wordless --
-- One's own live memories without words in the text index. $1 limit; (id, text).
SELECT m.id, CASE WHEN m.context = '' THEN m.content ELSE m.context || E'\n' || m.content END AS text
FROM memories m
WHERE m.superseded_by IS NULL AND m.scope_no IN (SELECT scope_no FROM scopes WHERE owner = current_user)
    AND NOT EXISTS (SELECT FROM postings p WHERE p.memory_no = m.memory_no) LIMIT $1;

-- leaves_others_out --
-- Whether others may have stored something, whose rows are not the caller's to check; one boolean.
SELECT coalesce(bool_or(owner <> current_user), false)
    OR count(*) < coalesce(pg_sequence_last_value('scopes_scope_no_seq'), count(*) + 1)
FROM scopes;

-- active_model --
-- The model whose vectors are searched; one row or none.
SELECT model_no, provider, name, revision, dimensions, document_prefix, query_prefix, window_tokens
FROM embedding_models WHERE state = 'active';

-- add_model --
-- Register the first model. $1 provider, $2 name, $3 revision, $4 dimensions, $5 and $6 prefixes, $7 window; model_no.
INSERT INTO embedding_models (provider, name, revision, dimensions, document_prefix, query_prefix, window_tokens, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'active') RETURNING model_no;

-- lock_models --
-- Let one transaction at a time register a model. $1 key; nothing useful.
SELECT pg_advisory_xact_lock($1);

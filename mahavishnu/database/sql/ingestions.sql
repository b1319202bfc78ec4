-- start_ingestion --
-- Note that an import begins, and that one of the same source was killed. One that still runs notes its own end
-- later. $1 id, $2 scope, $3 source, $4 kind, $5 the repository's name in memories, $6 its working tree, $7 commit that
-- is read, $8 how the source is recognised; no rows.
WITH killed AS (
    UPDATE rag_ingestions SET status = 'failed', finished_at = now(),
        error = 'interrupted: it had not ended when the next import of this source began'
    WHERE scope_no = $2 AND source = $3 AND kind = $4 AND status = 'in_progress' AND id <> $1
)
INSERT INTO rag_ingestions (id, scope_no, source, kind, repo_id, repo_path, commit_id, metadata, status)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'in_progress')
ON CONFLICT (id) DO NOTHING;

-- finish_ingestion --
-- Note how an import ended. $1 id, $2 status, $3 cursor, $4 seen, $5 stored, $6 skipped, $7 error, $8 documents,
-- $9 chunks; no rows.
UPDATE rag_ingestions SET status = $2, cursor = $3, seen = $4, stored = $5, skipped = $6, error = $7,
    documents_count = $8, chunks_count = $9, finished_at = now()
WHERE id = $1;

-- last_cursor --
-- Where the last completed import stopped. $1 scope, $2 source, $3 kind; cursor or no row.
SELECT cursor FROM rag_ingestions
WHERE scope_no = $1 AND source = $2 AND kind = $3 AND status = 'completed' AND cursor IS NOT NULL
ORDER BY started_at DESC LIMIT 1;

-- imported_sources --
-- The folders of documents that were read into scopes, the latest first, and how they are recognised: older releases
-- kept nothing of it, and a run that could not read its repository has nothing to keep. $1 scopes; (source, kind, metadata,
-- whether those imports were completed).
SELECT source, kind, metadata - 'given' AS metadata, status = 'completed' AS completed FROM rag_ingestions
WHERE scope_no = ANY ($1::integer[]) AND (kind = 'markdown' OR (kind = 'repository' AND metadata ? 'aliases'))
GROUP BY 1, 2, 3, 4 ORDER BY max(started_at) DESC;

-- live_keys --
-- Live memories of a source in a scope. $1 scope, $2 source system; (id, source_key, repo_id, content_hash, metadata).
SELECT id, source_key, repo_id, content_hash, metadata FROM memories
WHERE scope_no = $1 AND source_system = $2 AND superseded_by IS NULL;

-- move_section --
-- Note where an unchanged section stands now. $1 id, $2 metadata, $3 context; no rows.
UPDATE memories SET metadata = $2, context = $3 WHERE id = $1;

-- adopt_section --
-- Give a memory of an older release to the repository it is of. $1 id, $2 source key, $3 repository; no rows.
UPDATE memories SET source_key = $2, repo_id = $3 WHERE id = $1;

-- note_ingestion --
-- Note how far an import is, also one that was taken for killed while the server was away. $1 id, $2 documents, $3 chunks,
-- $4 skipped, $5 commit that is read, $6 more about the source; no rows.
UPDATE rag_ingestions SET documents_count = $2, chunks_count = $3, skipped = $4, commit_id = $5, metadata = metadata || $6,
    status = 'in_progress', error = NULL, finished_at = NULL
WHERE id = $1;

-- end_killed --
-- Note that the processes of imports are gone. $1 ids; no rows.
UPDATE rag_ingestions SET status = 'failed', finished_at = now(), error = 'interrupted: it did not end by itself'
WHERE id = ANY ($1::uuid[]) AND status = 'in_progress';

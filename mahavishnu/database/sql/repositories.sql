-- put_repository --
-- Note where the files of a project are, and which are read. $1 project id, $2 repository id, $3 path; $4 include and
-- $5 exclude, or null where they stay as they are; no rows.
INSERT INTO repositories AS r (project_id, repo_id, path, include, exclude)
VALUES ($1, $2, $3, coalesce($4::text[], '{}'), coalesce($5::text[], '{}'))
ON CONFLICT ON CONSTRAINT repositories_pkey
DO UPDATE SET path = $3, include = coalesce($4, r.include), exclude = coalesce($5, r.exclude);

-- list_repositories --
-- One's repositories by name, with groups and what they depend on.
-- (project_id, name, repo_id, path, include, exclude, groups, depends_on).
SELECT r.project_id, p.name, r.repo_id, r.path, r.include, r.exclude,
       ARRAY(SELECT g.name FROM repository_groups g
             WHERE g.project_id = r.project_id AND g.owner = r.owner ORDER BY 1) AS groups,
       ARRAY(SELECT o.name FROM repository_dependencies d JOIN projects o ON o.id = d.depends_on
             WHERE d.project_id = r.project_id AND d.owner = r.owner ORDER BY 1) AS depends_on
FROM repositories r JOIN projects p ON p.id = r.project_id
WHERE r.owner = current_user ORDER BY p.name;

-- remove_repository --
-- Forget where the files of a project are, its groups and dependencies. $1 project id; no rows.
DELETE FROM repositories WHERE project_id = $1 AND owner = current_user;

-- clear_groups --
-- Take a repository out of all groups. $1 project id; no rows.
DELETE FROM repository_groups WHERE project_id = $1 AND owner = current_user;

-- add_groups --
-- Put a repository into groups. $1 project id, $2 names; no rows.
INSERT INTO repository_groups (project_id, name) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING;

-- clear_dependencies --
-- Let a repository depend on nothing. $1 project id; no rows.
DELETE FROM repository_dependencies WHERE project_id = $1 AND owner = current_user;

-- add_dependencies --
-- Note which repositories one depends on, by their names. $1 project id, $2 names; no rows.
INSERT INTO repository_dependencies (project_id, depends_on)
SELECT $1, r.project_id FROM repositories r JOIN projects p ON p.id = r.project_id
WHERE r.owner = current_user AND p.name = ANY ($2::text[]) ON CONFLICT DO NOTHING;

-- stored_files --
-- The files of a repository that have chunks. A file is stored whole where `chunks` is what each of its chunks says, and all
-- say the same `fingerprint`. $1 scopes, $2 repository id; (path, fingerprints, whole, commit_id, ids).
SELECT path, array_agg(DISTINCT metadata ->> 'fingerprint') AS fingerprints,
       bool_and((metadata ->> 'chunks')::integer = total) AS whole, min(commit_id) AS commit_id, array_agg(id) AS ids
FROM (
    SELECT id, path, metadata, commit_id, count(*) OVER (PARTITION BY path) AS total FROM memories
    WHERE scope_no = ANY ($1::integer[]) AND repo_id = $2 AND source_system = 'repository' AND superseded_by IS NULL
) AS chunk
GROUP BY path;

-- note_commits --
-- Note the commit that holds files as they were read. $1 scopes, $2 repository id, $3 paths, $4 commit; no rows.
UPDATE memories SET commit_id = $4
WHERE scope_no = ANY ($1::integer[]) AND repo_id = $2 AND source_system = 'repository' AND path = ANY ($3::text[])
    AND superseded_by IS NULL;

-- repository_scopes --
-- One's own scopes of files, by project. $1 project ids; (project_id, scope_no).
SELECT project_id, scope_no FROM scopes
WHERE owner = current_user AND visibility = 'private' AND collection IN ('code', 'document')
    AND project_id = ANY ($1::uuid[]);

-- count_chunks --
-- How much is stored of repositories. $1 scopes; (project_id, repo_id, files, chunks, waiting for their vectors).
SELECT s.project_id, m.repo_id, count(DISTINCT m.path) AS files, count(*) AS chunks, count(q.memory_no) AS waiting
FROM memories m JOIN scopes s USING (scope_no) LEFT JOIN embedding_queue q USING (memory_no)
WHERE m.scope_no = ANY ($1::integer[]) AND m.source_system = 'repository' AND m.superseded_by IS NULL
GROUP BY s.project_id, m.repo_id;

-- last_runs --
-- The latest ingestion of each repository; `running` tells whether the lock is held that one holds as long as it lives.
-- $1 scopes; (id, project_id, repo_id, status, documents_count, chunks_count, skipped, error, started_at, finished_at,
-- running).
SELECT DISTINCT ON (project_id, repo_id) id, project_id, repo_id, status, documents_count, chunks_count, skipped, error,
       started_at, finished_at,
       EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
               WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
                   AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended('ingest ' || s.project_id, 0)) AS running
FROM rag_ingestions JOIN scopes s USING (scope_no) WHERE scope_no = ANY ($1::integer[]) AND kind = 'repository'
ORDER BY project_id, repo_id, started_at DESC;

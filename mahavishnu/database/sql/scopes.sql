-- ensure_scope --
-- Find or make the caller's own scope. $1 visibility, $2 project id or null, $3 collection; scope_no.
WITH found AS (
    SELECT scope_no FROM scopes
    WHERE owner = current_user AND visibility = $1 AND project_id IS NOT DISTINCT FROM $2::uuid AND collection = $3
), made AS (
    INSERT INTO scopes (visibility, project_id, collection) SELECT $1, $2::uuid, $3
    WHERE NOT EXISTS (SELECT FROM found)
    ON CONFLICT ON CONSTRAINT scopes_identity DO NOTHING RETURNING scope_no
)
SELECT scope_no FROM found UNION ALL SELECT scope_no FROM made;

-- survey --
-- What a filter leaves of the visible scopes; a name means all visible projects of that name.
-- $1 collections or null, $2 project names or null; one row: (scopes, collections, projects found,
-- fingerprint of all visible scopes, hidden: whether there may be others).
WITH named AS (
    SELECT id, name FROM projects WHERE name = ANY ($2::text[])
), chosen AS (
    SELECT scope_no, collection FROM scopes
    WHERE ($1::text[] IS NULL OR collection = ANY ($1))
        AND ($2::text[] IS NULL OR project_id IN (SELECT id FROM named))
)
SELECT ARRAY(SELECT scope_no FROM chosen ORDER BY scope_no) AS scopes,
       ARRAY(SELECT collection FROM chosen ORDER BY scope_no) AS collections,
       ARRAY(SELECT name FROM named) AS projects,
       bit_xor(hash_record_extended(s, 0)) AS fingerprint,
       count(*) < coalesce(pg_sequence_last_value('scopes_scope_no_seq'), count(*) + 1) AS hidden
FROM scopes s;

-- count_in_scopes --
-- How many live memories the scopes hold, counting no further than $2. $1 scopes; one number.
SELECT count(*) FROM (
    SELECT FROM memories WHERE scope_no = ANY ($1::integer[]) AND superseded_by IS NULL LIMIT $2) AS counted;

-- find_own_project --
-- One's own project by name. $1 name; id or no row.
SELECT id FROM projects WHERE name = $1 AND owner = current_user;

-- list_project_names --
-- Names of all visible projects, for suggestions; (name).
SELECT DISTINCT name FROM projects ORDER BY name;

-- add_project --
-- Make a project of one's own unless its name is taken. $1 id, $2 name; id or no row.
INSERT INTO projects (id, name) VALUES ($1, $2) ON CONFLICT ON CONSTRAINT projects_owner_name DO NOTHING RETURNING id;

-- find_bare_project --
-- One's own project by name that nothing ties to a folder yet. $1 name; id or no row.
SELECT p.id FROM projects p
WHERE p.name = $1 AND p.owner = current_user AND NOT EXISTS (SELECT FROM project_aliases a WHERE a.project_id = p.id)
    AND NOT EXISTS (SELECT FROM repositories r WHERE r.project_id = p.id);

-- find_project_by_alias --
-- One's own projects known by any of the aliases, strongest kind first; the kind `repository` is the folder of one that
-- was added. $1 kinds, $2 values; (id, name, kind).
SELECT p.id, p.name, kind
FROM unnest($1::text[], $2::text[]) AS wanted (kind, value)
JOIN (SELECT kind, value, project_id FROM project_aliases
      UNION ALL SELECT 'repository', path, project_id FROM repositories WHERE owner = current_user) a USING (kind, value)
JOIN projects p ON p.id = a.project_id WHERE p.owner = current_user
ORDER BY array_position(ARRAY['repository', 'path', 'remote', 'root'], kind), p.created_at;

-- add_project_alias --
-- Note another way to recognise a project, unless another of one's own has it; a root may be of several. $1 project id,
-- $2 kind, $3 value; no rows.
INSERT INTO project_aliases (project_id, kind, value) SELECT $1, $2::text, $3::text
WHERE $2 = 'root' OR NOT EXISTS (SELECT FROM project_aliases a JOIN projects p ON p.id = a.project_id
    WHERE a.kind = $2 AND a.value = $3 AND p.owner = current_user)
ON CONFLICT DO NOTHING;

-- drop_project_alias --
-- Let an alias lead to none of one's own projects any more. $1 kind, $2 value; no rows.
DELETE FROM project_aliases a USING projects p
WHERE a.kind = $1 AND a.value = $2 AND p.id = a.project_id AND p.owner = current_user;

-- Each owner's repositories: the checkout whose files are read into a project. `repo_id` is what their memories have as
-- such. Groups and dependencies are what an owner says of repositories, and nobody else sees them.

CREATE TABLE repositories (
    owner       text NOT NULL DEFAULT current_user,
    project_id  uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    repo_id     text NOT NULL CONSTRAINT repositories_repo_id_length CHECK (length(repo_id) BETWEEN 1 AND 200),
    path        text NOT NULL,
    include     text[] NOT NULL DEFAULT '{}',
    exclude     text[] NOT NULL DEFAULT '{}',
    added_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT repositories_pkey PRIMARY KEY (owner, project_id),
    CONSTRAINT repositories_path UNIQUE (owner, path)
);

CREATE TABLE repository_groups (
    owner       text NOT NULL DEFAULT current_user,
    name        text NOT NULL CONSTRAINT repository_groups_name_length CHECK (length(name) BETWEEN 1 AND 200),
    project_id  uuid NOT NULL,
    CONSTRAINT repository_groups_pkey PRIMARY KEY (owner, name, project_id),
    CONSTRAINT repository_groups_member FOREIGN KEY (owner, project_id) REFERENCES repositories ON DELETE CASCADE
);

CREATE TABLE repository_dependencies (
    owner       text NOT NULL DEFAULT current_user,
    project_id  uuid NOT NULL,
    depends_on  uuid NOT NULL,
    CONSTRAINT repository_dependencies_pkey PRIMARY KEY (owner, project_id, depends_on),
    CONSTRAINT repository_dependencies_from FOREIGN KEY (owner, project_id) REFERENCES repositories ON DELETE CASCADE,
    CONSTRAINT repository_dependencies_to FOREIGN KEY (owner, depends_on) REFERENCES repositories ON DELETE CASCADE,
    CONSTRAINT repository_dependencies_not_itself CHECK (project_id <> depends_on)
);

DO $$
DECLARE
    relation text;
BEGIN
    FOREACH relation IN ARRAY ARRAY['repositories', 'repository_groups', 'repository_dependencies'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', relation);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relation);
        EXECUTE format('CREATE POLICY %I ON %I USING (owner = current_user) WITH CHECK (owner = current_user)',
                       relation || '_own', relation);
    END LOOP;
END $$;

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.accounts (
    budget_id text NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    committed text NOT NULL,
    burn_per_hour text NOT NULL,
    currency text NOT NULL,
    told integer NOT NULL,
    wake_at timestamp with time zone,
    lease_holder text,
    lease_until timestamp with time zone
);
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.audit (
    seq bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    workspace text,
    "user" text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    detail text NOT NULL,
    request_id text
);
CREATE SEQUENCE public.audit_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.audit_seq_seq OWNED BY public.audit.seq;
CREATE TABLE public.budgets (
    id text NOT NULL,
    workspace text NOT NULL,
    scope text NOT NULL,
    key text NOT NULL,
    amount text NOT NULL,
    currency text NOT NULL,
    period text NOT NULL,
    starts_at timestamp with time zone,
    ends_at timestamp with time zone,
    is_hard boolean NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    removed_at timestamp with time zone
);
CREATE TABLE public.clusters (
    id text NOT NULL,
    workspace text NOT NULL,
    name text NOT NULL,
    provider text NOT NULL,
    owner text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    spec text NOT NULL,
    intent text NOT NULL,
    status text NOT NULL,
    stop_reason text,
    stop_detail text NOT NULL,
    scale_wanted integer NOT NULL,
    scale_surplus_since timestamp with time zone,
    scale_surplus_peak integer NOT NULL,
    scheduler_address text,
    agent_address text,
    dashboard_address text,
    started_at timestamp with time zone,
    stopping_at timestamp with time zone,
    stopped_at timestamp with time zone,
    expires_at timestamp with time zone,
    observed_at timestamp with time zone,
    idle_warned_at timestamp with time zone,
    budget_warned integer NOT NULL,
    page_failed_at timestamp with time zone,
    failed_launches integer NOT NULL,
    retry_at timestamp with time zone,
    environment_hash text,
    environment text,
    lease_holder text,
    lease_epoch integer NOT NULL,
    lease_until timestamp with time zone,
    wake_at timestamp with time zone,
    revision integer NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    environment_name text,
    trials_of text DEFAULT ''::text NOT NULL,
    trials_failed integer DEFAULT 0 NOT NULL
);
CREATE TABLE public.computations (
    cluster_id text NOT NULL,
    id text NOT NULL,
    workspace text NOT NULL,
    started_at timestamp with time zone,
    record text NOT NULL
);
CREATE TABLE public.environments (
    workspace text NOT NULL,
    name text NOT NULL,
    version integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    created_by text NOT NULL,
    content_hash text NOT NULL,
    image text NOT NULL,
    source text NOT NULL,
    note text NOT NULL,
    platforms text NOT NULL,
    python text NOT NULL,
    packages integer NOT NULL,
    environments text NOT NULL,
    deleted_at timestamp with time zone,
    size integer DEFAULT 0 NOT NULL
);
CREATE TABLE public.events (
    seq bigint NOT NULL,
    cluster_id text NOT NULL,
    at timestamp with time zone NOT NULL,
    kind text NOT NULL,
    level text NOT NULL,
    message text NOT NULL,
    instance_id text
);
CREATE SEQUENCE public.events_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.events_seq_seq OWNED BY public.events.seq;
CREATE TABLE public.facts (
    name text NOT NULL,
    value text NOT NULL
);
CREATE TABLE public.idempotency (
    user_id text NOT NULL,
    key text NOT NULL,
    request_hash text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    status integer,
    body text
);
CREATE TABLE public.identities (
    issuer text NOT NULL,
    subject text NOT NULL,
    user_id text NOT NULL
);
CREATE TABLE public.instances (
    id text NOT NULL,
    cluster_id text NOT NULL,
    role text NOT NULL,
    order_id text NOT NULL,
    offer text NOT NULL,
    status text NOT NULL,
    requested_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    handle text,
    started_at timestamp with time zone,
    running_at timestamp with time zone,
    stopped_at timestamp with time zone,
    exit_code integer,
    "end" text,
    detail text NOT NULL,
    wanted boolean NOT NULL,
    unwanted_at timestamp with time zone,
    equipment text DEFAULT ''::text NOT NULL
);
CREATE TABLE public.invitations (
    id text NOT NULL,
    secret_hash text NOT NULL,
    workspace text NOT NULL,
    role text NOT NULL,
    invited_by text NOT NULL,
    email text,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    used_by text
);
CREATE TABLE public.members (
    workspace text NOT NULL,
    user_id text NOT NULL,
    role text NOT NULL,
    agreed_to_mentoring boolean NOT NULL,
    joined_at timestamp with time zone NOT NULL
);
CREATE TABLE public.outbox (
    id text NOT NULL,
    workspace text,
    kind text NOT NULL,
    target text NOT NULL,
    body text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    attempts integer NOT NULL,
    wake_at timestamp with time zone,
    error text,
    delivered_at timestamp with time zone
);
CREATE TABLE public.reservations (
    budget_id text NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    cluster_id text NOT NULL,
    reserved text NOT NULL,
    spent text NOT NULL,
    burn_per_hour text NOT NULL,
    currency text NOT NULL,
    at timestamp with time zone NOT NULL,
    use text NOT NULL
);
CREATE TABLE public.reviews (
    id text NOT NULL,
    partner text NOT NULL,
    user_id text NOT NULL,
    "user" text NOT NULL,
    written_at timestamp with time zone NOT NULL,
    said text NOT NULL,
    proof text,
    status text NOT NULL,
    decided_by text,
    decided_at timestamp with time zone,
    reason text NOT NULL,
    answer_by text,
    answered_at timestamp with time zone,
    answer text
);
CREATE TABLE public.secrets (
    cluster_id text NOT NULL,
    authority_certificate text NOT NULL,
    authority_key text NOT NULL,
    agent_token text NOT NULL
);
CREATE TABLE public.speakers (
    partner text NOT NULL,
    user_id text NOT NULL,
    "user" text NOT NULL,
    appointed_by text NOT NULL,
    appointed_at timestamp with time zone NOT NULL
);
CREATE TABLE public.tokens (
    id text NOT NULL,
    secret_hash text NOT NULL,
    user_id text NOT NULL,
    label text NOT NULL,
    scopes text NOT NULL,
    workspace text,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    session_of text
);
CREATE TABLE public.usages (
    instance_id text NOT NULL,
    sequence integer NOT NULL,
    cluster_id text NOT NULL,
    cluster_name text NOT NULL,
    workspace text NOT NULL,
    owner text NOT NULL,
    provider text NOT NULL,
    region text,
    vm_type text NOT NULL,
    role text NOT NULL,
    cpus double precision NOT NULL,
    memory bigint NOT NULL,
    gpus integer NOT NULL,
    disk bigint,
    price_per_hour text,
    currency text,
    started_at timestamp with time zone NOT NULL,
    stopped_at timestamp with time zone,
    tags text NOT NULL
);
CREATE TABLE public.users (
    id text NOT NULL,
    name text NOT NULL,
    email text,
    is_operator boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    disabled_at timestamp with time zone
);
CREATE TABLE public.webhooks (
    id text NOT NULL,
    workspace text NOT NULL,
    url text NOT NULL,
    signing_key text NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone NOT NULL
);
CREATE TABLE public.workspaces (
    name text NOT NULL,
    title text NOT NULL,
    created_at timestamp with time zone NOT NULL
);
ALTER TABLE ONLY public.audit ALTER COLUMN seq SET DEFAULT nextval('public.audit_seq_seq'::regclass);
ALTER TABLE ONLY public.events ALTER COLUMN seq SET DEFAULT nextval('public.events_seq_seq'::regclass);
INSERT INTO public.accounts VALUES ('b1', '2026-03-01 12:00:00.123456+00', '2026-03-31 12:00:00.123456+00', '1.50', '0.20', 'EUR', 50, '2026-03-01 12:01:00.123456+00', NULL, NULL);
INSERT INTO public.alembic_version VALUES ('0005');
INSERT INTO public.audit VALUES (1, '2026-03-01 12:00:00.123456+00', 'lab', 'ada', 'member.added', 'grace', 'as a member', NULL);
INSERT INTO public.budgets VALUES ('b1', 'lab', 'workspace', '', '100.00', 'EUR', 'month', NULL, NULL, true, 'ada', '2026-03-01 12:00:00.123456+00', NULL);
INSERT INTO public.clusters VALUES ('c1', 'lab', 'ocean', 'fake', 'ada', '2026-03-01 12:00:00.123456+00', '{"name":"ocean","workspace":"lab","provider":"fake","scaling":{"minimum":2,"initial":2,"maximum":2,"target_duration":"PT180S","wait_count":24,"interval":"PT5S"},"worker":{"cpus":{"minimum":null,"maximum":null},"memory":{"minimum":null,"maximum":null},"gpus":0,"gpu_type":null,"vm_types":[],"disk":null,"count":1,"least":null,"beside":false},"scheduler":{"cpus":{"minimum":null,"maximum":null},"memory":{"minimum":null,"maximum":null},"gpus":0,"gpu_type":null,"vm_types":[],"disk":null,"count":1,"least":null,"beside":true},"worker_threads":null,"spot_policy":"on-demand","region":null,"arm":false,"software":null,"packages":{"ignore":[],"only":[],"strict":false},"environ":{},"tags":{"project":"tides"},"lifetimes":{"idle":"PT1200S","no_client":"PT120S","total":null,"orphan":"PT600S","start":"PT1200S"},"budget":{"amount":"12.50","currency":"EUR"},"record_history":true,"record_code":false,"dask_config":{"distributed":{"worker":{"memory":{"target":0.6}}}},"worker_options":{},"scheduler_options":{},"backend_options":{},"working_directory":null,"python_path":[]}', '{"scaling":{"minimum":2,"initial":2,"maximum":2,"target_duration":"PT180S","wait_count":24,"interval":"PT5S"},"stop":false,"stop_reason":"asked","stop_detail":"","dismiss":[],"ends_by":null,"ends_why":"","ends_for":"","equipment":""}', 'pending', NULL, '', 2, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 0, NULL, 'h1', '{"python":"3.11.7","platform":"linux-x86_64","packages":[{"name":"dask","version":"1","source":"index","url":"","sha256":"","build":"","subdir":"","extras":[],"is_requested":false,"artifact":""}],"content_hash":"h1","artifacts":[],"indexes":[],"channels":[],"name":""}', NULL, 1, NULL, '2026-03-01 12:01:00.123456+00', 2, 1, NULL, '', 0);
INSERT INTO public.clusters VALUES ('c2', 'lab', 'sea', 'fake', 'ada', '2026-03-01 12:00:00.123456+00', '{"name":"sea","workspace":"lab","provider":"fake","scaling":{"minimum":2,"initial":2,"maximum":2,"target_duration":"PT180S","wait_count":24,"interval":"PT5S"},"worker":{"cpus":{"minimum":null,"maximum":null},"memory":{"minimum":null,"maximum":null},"gpus":0,"gpu_type":null,"vm_types":[],"disk":null,"count":1,"least":null,"beside":false},"scheduler":{"cpus":{"minimum":null,"maximum":null},"memory":{"minimum":null,"maximum":null},"gpus":0,"gpu_type":null,"vm_types":[],"disk":null,"count":1,"least":null,"beside":true},"worker_threads":null,"spot_policy":"on-demand","region":null,"arm":false,"software":null,"packages":{"ignore":[],"only":[],"strict":false},"environ":{},"tags":{"project":"tides"},"lifetimes":{"idle":"PT1200S","no_client":"PT120S","total":null,"orphan":"PT600S","start":"PT1200S"},"budget":{"amount":"12.50","currency":"EUR"},"record_history":true,"record_code":false,"dask_config":{"distributed":{"worker":{"memory":{"target":0.6}}}},"worker_options":{},"scheduler_options":{},"backend_options":{},"working_directory":null,"python_path":[]}', '{"scaling":{"minimum":2,"initial":2,"maximum":2,"target_duration":"PT180S","wait_count":24,"interval":"PT5S"},"stop":false,"stop_reason":"asked","stop_detail":"","dismiss":[],"ends_by":null,"ends_why":"","ends_for":"","equipment":""}', 'pending', NULL, '', 2, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 0, NULL, 'h1', '{"python":"3.11.7","platform":"linux-x86_64","packages":[{"name":"dask","version":"1","source":"index","url":"","sha256":"","build":"","subdir":"","extras":[],"is_requested":false,"artifact":""}],"content_hash":"h1","artifacts":[],"indexes":[],"channels":[],"name":""}', NULL, 1, NULL, '2026-03-01 12:01:00.123456+00', 2, 1, NULL, '', 0);
INSERT INTO public.computations VALUES ('c1', 'aa-c1', 'lab', '2026-03-01 12:00:00.123456+00', '{"id":"aa-c1","cluster_id":"c1","name":"default","started_at":"2026-03-01T12:00:00.123456Z","stopped_at":null,"done":false,"groups":[{"prefix":"mean_chunk","tasks":9,"done":4,"erred":0,"compute_seconds":1.5,"transfer_seconds":0.0,"disk_seconds":0.0,"nbytes":80}],"activity_seconds":{"thread-cpu":1.25},"active_cpu_seconds":0.0,"nbytes":0,"code":[],"errors":[],"workers":0}');
INSERT INTO public.computations VALUES ('c2', 'aa-c2', 'lab', '2026-03-01 12:00:00.123456+00', '{"id":"aa-c2","cluster_id":"c2","name":"default","started_at":"2026-03-01T12:00:00.123456Z","stopped_at":null,"done":false,"groups":[{"prefix":"mean_chunk","tasks":9,"done":4,"erred":0,"compute_seconds":1.5,"transfer_seconds":0.0,"disk_seconds":0.0,"nbytes":80}],"activity_seconds":{"thread-cpu":1.25},"active_cpu_seconds":0.0,"nbytes":0,"code":[],"errors":[],"workers":0}');
INSERT INTO public.environments VALUES ('lab', 'climate', 1, '2026-03-01 12:00:00.123456+00', 'ada', 'ee', '', 'environment.yml', 'of the paper', 'linux-x86_64', '3.11', 0, '[{"python":"3.11","platform":"linux-x86_64","packages":[],"content_hash":"ff"}]', NULL, 0);
INSERT INTO public.events VALUES (1, 'c1', '2026-03-01 12:00:00.123456+00', 'cluster.created', 'info', 'it began', NULL);
INSERT INTO public.events VALUES (2, 'c2', '2026-03-01 12:00:00.123456+00', 'cluster.created', 'info', 'it began', NULL);
INSERT INTO public.facts VALUES ('installation', 'shared-1');
INSERT INTO public.idempotency VALUES ('u1', 'k1', 'dd', '2026-03-01 12:00:00.123456+00', 201, '{}');
INSERT INTO public.identities VALUES ('https://id.example.org', '0001', 'u1');
INSERT INTO public.instances VALUES ('i-c1', 'c1', 'worker', 'order-of-i-c1', '{"provider":"fake","vm_type":"process","resources":{"cpus":2.0,"memory":4294967296,"gpus":0,"disk":null},"price":{"per_hour":"0.10","currency":"EUR"},"region":null,"zone":null,"spot":false,"room":null,"target":null,"note":""}', 'requested', '2026-03-01 12:00:00.123456+00', '2026-03-01 13:00:00.123456+00', NULL, NULL, NULL, NULL, NULL, NULL, '', true, NULL, '');
INSERT INTO public.instances VALUES ('i-c2', 'c2', 'worker', 'order-of-i-c2', '{"provider":"fake","vm_type":"process","resources":{"cpus":2.0,"memory":4294967296,"gpus":0,"disk":null},"price":{"per_hour":"0.10","currency":"EUR"},"region":null,"zone":null,"spot":false,"room":null,"target":null,"note":""}', 'requested', '2026-03-01 12:00:00.123456+00', '2026-03-01 13:00:00.123456+00', NULL, NULL, NULL, NULL, NULL, NULL, '', true, NULL, '');
INSERT INTO public.invitations VALUES ('inv1', 'aa', 'lab', 'member', 'ada', NULL, '2026-03-01 12:00:00.123456+00', '2026-03-31 12:00:00.123456+00', NULL, NULL);
INSERT INTO public.members VALUES ('lab', 'u1', 'owner', false, '2026-03-01 12:00:00.123456+00');
INSERT INTO public.outbox VALUES ('o1', 'lab', 'email', 'ada@example.org', '{}', '2026-03-01 12:00:00.123456+00', 1, '2026-03-01 12:01:00.123456+00', 'no answer', NULL);
INSERT INTO public.reservations VALUES ('b1', '2026-03-01 12:00:00.123456+00', 'c1', '1.50', '0.10', '0.20', 'EUR', '2026-03-01 12:00:00.123456+00', 'used');
INSERT INTO public.reviews VALUES ('review-1', '2i2c', 'u1', 'ada', '2026-03-01 12:00:00.123456+00', '{"used_for":"research","used_from":"2024-01-01","interest":"none","points":{"ease":4}}', NULL, 'published', 'root', '2026-03-01 12:00:00.123456+00', '', NULL, NULL, NULL);
INSERT INTO public.secrets VALUES ('c1', '-----BEGIN CERTIFICATE-----', 'the-key-nobody-may-find-in-the-file', 'the-token-nobody-may-find-in-the-file');
INSERT INTO public.secrets VALUES ('c2', '-----BEGIN CERTIFICATE-----', 'the-key-nobody-may-find-in-the-file', 'the-token-nobody-may-find-in-the-file');
INSERT INTO public.speakers VALUES ('2i2c', 'u2', 'bob', 'root', '2026-03-01 12:00:00.123456+00');
INSERT INTO public.tokens VALUES ('t1', 'bb', 'u1', 'laptop', 'read clusters', NULL, '2026-03-01 12:00:00.123456+00', '2026-03-31 12:00:00.123456+00', NULL, NULL, NULL);
INSERT INTO public.usages VALUES ('i-c1', 0, 'c1', 'ocean', 'lab', 'ada', 'fake', NULL, 'process', 'worker', 2, 4294967296, 0, NULL, '0.10', 'EUR', '2026-03-01 12:00:00.123456+00', NULL, '{"project": "tides"}');
INSERT INTO public.usages VALUES ('i-c2', 0, 'c2', 'ocean', 'lab', 'ada', 'fake', NULL, 'process', 'worker', 2, 4294967296, 0, NULL, '0.10', 'EUR', '2026-03-01 12:00:00.123456+00', NULL, '{"project": "tides"}');
INSERT INTO public.users VALUES ('u1', 'ada', 'ada@example.org', true, '2026-03-01 12:00:00.123456+00', NULL);
INSERT INTO public.webhooks VALUES ('w1', 'lab', 'https://example.org/hook', 'cc', 'ada', '2026-03-01 12:00:00.123456+00');
INSERT INTO public.workspaces VALUES ('lab', 'Ocean lab', '2026-03-01 12:00:00.123456+00');
SELECT pg_catalog.setval('public.audit_seq_seq', 1, true);
SELECT pg_catalog.setval('public.events_seq_seq', 2, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT pk_accounts PRIMARY KEY (budget_id, starts_at);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT pk_audit PRIMARY KEY (seq);
ALTER TABLE ONLY public.budgets
    ADD CONSTRAINT pk_budgets PRIMARY KEY (id);
ALTER TABLE ONLY public.clusters
    ADD CONSTRAINT pk_clusters PRIMARY KEY (id);
ALTER TABLE ONLY public.computations
    ADD CONSTRAINT pk_computations PRIMARY KEY (cluster_id, id);
ALTER TABLE ONLY public.environments
    ADD CONSTRAINT pk_environments PRIMARY KEY (workspace, name, version);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT pk_events PRIMARY KEY (seq);
ALTER TABLE ONLY public.facts
    ADD CONSTRAINT pk_facts PRIMARY KEY (name);
ALTER TABLE ONLY public.idempotency
    ADD CONSTRAINT pk_idempotency PRIMARY KEY (user_id, key);
ALTER TABLE ONLY public.identities
    ADD CONSTRAINT pk_identities PRIMARY KEY (issuer, subject);
ALTER TABLE ONLY public.instances
    ADD CONSTRAINT pk_instances PRIMARY KEY (id);
ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT pk_invitations PRIMARY KEY (id);
ALTER TABLE ONLY public.members
    ADD CONSTRAINT pk_members PRIMARY KEY (workspace, user_id);
ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT pk_outbox PRIMARY KEY (id);
ALTER TABLE ONLY public.reservations
    ADD CONSTRAINT pk_reservations PRIMARY KEY (budget_id, starts_at, cluster_id);
ALTER TABLE ONLY public.reviews
    ADD CONSTRAINT pk_reviews PRIMARY KEY (id);
ALTER TABLE ONLY public.secrets
    ADD CONSTRAINT pk_secrets PRIMARY KEY (cluster_id);
ALTER TABLE ONLY public.speakers
    ADD CONSTRAINT pk_speakers PRIMARY KEY (partner, user_id);
ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT pk_tokens PRIMARY KEY (id);
ALTER TABLE ONLY public.usages
    ADD CONSTRAINT pk_usages PRIMARY KEY (instance_id, sequence);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT pk_users PRIMARY KEY (id);
ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT pk_webhooks PRIMARY KEY (id);
ALTER TABLE ONLY public.workspaces
    ADD CONSTRAINT pk_workspaces PRIMARY KEY (name);
CREATE INDEX ix_accounts_wake_at ON public.accounts USING btree (wake_at);
CREATE INDEX ix_audit_workspace_seq ON public.audit USING btree (workspace, seq);
CREATE INDEX ix_budgets_workspace ON public.budgets USING btree (workspace);
CREATE INDEX ix_clusters_wake_at ON public.clusters USING btree (wake_at) WHERE (status <> 'stopped'::text);
CREATE INDEX ix_clusters_workspace_created_at ON public.clusters USING btree (workspace, created_at);
CREATE INDEX ix_computations_workspace_started_at ON public.computations USING btree (workspace, started_at);
CREATE INDEX ix_events_cluster_id_seq ON public.events USING btree (cluster_id, seq);
CREATE INDEX ix_idempotency_created_at ON public.idempotency USING btree (created_at);
CREATE INDEX ix_identities_user_id ON public.identities USING btree (user_id);
CREATE INDEX ix_instances_cluster_id ON public.instances USING btree (cluster_id);
CREATE INDEX ix_invitations_workspace ON public.invitations USING btree (workspace);
CREATE INDEX ix_members_user_id ON public.members USING btree (user_id);
CREATE INDEX ix_outbox_wake_at ON public.outbox USING btree (wake_at);
CREATE INDEX ix_reservations_cluster_id ON public.reservations USING btree (cluster_id);
CREATE UNIQUE INDEX ix_reviews_partner_user_id ON public.reviews USING btree (partner, user_id);
CREATE INDEX ix_reviews_status_written_at ON public.reviews USING btree (status, written_at);
CREATE INDEX ix_tokens_user_id ON public.tokens USING btree (user_id);
CREATE INDEX ix_usages_cluster_id ON public.usages USING btree (cluster_id);
CREATE INDEX ix_usages_workspace_started_at ON public.usages USING btree (workspace, started_at);
CREATE INDEX ix_usages_workspace_stopped_at ON public.usages USING btree (workspace, stopped_at);
CREATE INDEX ix_webhooks_workspace ON public.webhooks USING btree (workspace);
CREATE UNIQUE INDEX ux_clusters_live_name ON public.clusters USING btree (workspace, name) WHERE (status <> 'stopped'::text);
CREATE UNIQUE INDEX ux_invitations_secret_hash ON public.invitations USING btree (secret_hash);
CREATE UNIQUE INDEX ux_tokens_secret_hash ON public.tokens USING btree (secret_hash);
CREATE UNIQUE INDEX ux_users_name ON public.users USING btree (name);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT fk_accounts_budget_id FOREIGN KEY (budget_id) REFERENCES public.budgets(id);
ALTER TABLE ONLY public.computations
    ADD CONSTRAINT fk_computations_cluster_id FOREIGN KEY (cluster_id) REFERENCES public.clusters(id);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT fk_events_cluster_id FOREIGN KEY (cluster_id) REFERENCES public.clusters(id);
ALTER TABLE ONLY public.identities
    ADD CONSTRAINT fk_identities_user_id FOREIGN KEY (user_id) REFERENCES public.users(id);
ALTER TABLE ONLY public.instances
    ADD CONSTRAINT fk_instances_cluster_id FOREIGN KEY (cluster_id) REFERENCES public.clusters(id);
ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT fk_invitations_workspace FOREIGN KEY (workspace) REFERENCES public.workspaces(name);
ALTER TABLE ONLY public.members
    ADD CONSTRAINT fk_members_user_id FOREIGN KEY (user_id) REFERENCES public.users(id);
ALTER TABLE ONLY public.members
    ADD CONSTRAINT fk_members_workspace FOREIGN KEY (workspace) REFERENCES public.workspaces(name);
ALTER TABLE ONLY public.reservations
    ADD CONSTRAINT fk_reservations_cluster_id FOREIGN KEY (cluster_id) REFERENCES public.clusters(id);
ALTER TABLE ONLY public.secrets
    ADD CONSTRAINT fk_secrets_cluster_id FOREIGN KEY (cluster_id) REFERENCES public.clusters(id);
ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT fk_tokens_user_id FOREIGN KEY (user_id) REFERENCES public.users(id);
ALTER TABLE ONLY public.usages
    ADD CONSTRAINT fk_usages_cluster_id FOREIGN KEY (cluster_id) REFERENCES public.clusters(id);
ALTER TABLE ONLY public.usages
    ADD CONSTRAINT fk_usages_instance_id FOREIGN KEY (instance_id) REFERENCES public.instances(id);

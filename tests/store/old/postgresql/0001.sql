CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
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
    revision integer NOT NULL
);
CREATE TABLE public.computations (
    cluster_id text NOT NULL,
    id text NOT NULL,
    workspace text NOT NULL,
    started_at timestamp with time zone,
    record text NOT NULL
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
    unwanted_at timestamp with time zone
);
CREATE TABLE public.secrets (
    cluster_id text NOT NULL,
    authority_certificate text NOT NULL,
    authority_key text NOT NULL,
    agent_token text NOT NULL
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
ALTER TABLE ONLY public.events ALTER COLUMN seq SET DEFAULT nextval('public.events_seq_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0001');
INSERT INTO public.clusters VALUES ('c1', 'lab', 'ocean', 'fake', 'ada', '2026-03-01 12:00:00.123456+00', '{"name":"ocean","workspace":"lab","provider":"fake","scaling":{"minimum":2,"initial":2,"maximum":2,"target_duration":"PT3M","wait_count":24,"interval":"PT5S"},"worker":{"cpus":{"minimum":null,"maximum":null},"memory":{"minimum":null,"maximum":null},"gpus":0,"gpu_type":null,"vm_types":[],"disk":null,"count":1,"beside":false},"scheduler":{"cpus":{"minimum":null,"maximum":null},"memory":{"minimum":null,"maximum":null},"gpus":0,"gpu_type":null,"vm_types":[],"disk":null,"count":1,"beside":true},"worker_threads":null,"spot_policy":"on-demand","region":null,"arm":false,"software":null,"environ":{},"tags":{"project":"tides"},"lifetimes":{"idle":"PT20M","no_client":"PT2M","total":null,"orphan":"PT10M","start":"PT20M"},"budget":{"amount":"12.50","currency":"EUR"},"record_history":true,"record_code":false,"dask_config":{"distributed":{"worker":{"memory":{"target":0.6}}}},"worker_options":{},"scheduler_options":{},"working_directory":null,"python_path":[]}', '{"scaling":{"minimum":2,"initial":2,"maximum":2,"target_duration":"PT3M","wait_count":24,"interval":"PT5S"},"stop":false,"stop_reason":"asked","stop_detail":"","dismiss":[]}', 'pending', NULL, '', 2, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 0, NULL, 'h1', '{"python":"3.11.7","platform":"linux-x86_64","packages":[["dask","1"]],"content_hash":"h1"}', NULL, 1, NULL, '2026-03-01 12:01:00.123456+00', 2);
INSERT INTO public.clusters VALUES ('c2', 'lab', 'sea', 'fake', 'ada', '2026-03-01 12:00:00.123456+00', '{"name":"sea","workspace":"lab","provider":"fake","scaling":{"minimum":2,"initial":2,"maximum":2,"target_duration":"PT3M","wait_count":24,"interval":"PT5S"},"worker":{"cpus":{"minimum":null,"maximum":null},"memory":{"minimum":null,"maximum":null},"gpus":0,"gpu_type":null,"vm_types":[],"disk":null,"count":1,"beside":false},"scheduler":{"cpus":{"minimum":null,"maximum":null},"memory":{"minimum":null,"maximum":null},"gpus":0,"gpu_type":null,"vm_types":[],"disk":null,"count":1,"beside":true},"worker_threads":null,"spot_policy":"on-demand","region":null,"arm":false,"software":null,"environ":{},"tags":{"project":"tides"},"lifetimes":{"idle":"PT20M","no_client":"PT2M","total":null,"orphan":"PT10M","start":"PT20M"},"budget":{"amount":"12.50","currency":"EUR"},"record_history":true,"record_code":false,"dask_config":{"distributed":{"worker":{"memory":{"target":0.6}}}},"worker_options":{},"scheduler_options":{},"working_directory":null,"python_path":[]}', '{"scaling":{"minimum":2,"initial":2,"maximum":2,"target_duration":"PT3M","wait_count":24,"interval":"PT5S"},"stop":false,"stop_reason":"asked","stop_detail":"","dismiss":[]}', 'pending', NULL, '', 2, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 0, NULL, 'h1', '{"python":"3.11.7","platform":"linux-x86_64","packages":[["dask","1"]],"content_hash":"h1"}', NULL, 1, NULL, '2026-03-01 12:01:00.123456+00', 2);
INSERT INTO public.computations VALUES ('c1', 'aa-c1', 'lab', '2026-03-01 12:00:00.123456+00', '{"id":"aa-c1","cluster_id":"c1","name":"default","started_at":"2026-03-01T12:00:00.123456Z","stopped_at":null,"done":false,"groups":[{"prefix":"mean_chunk","tasks":9,"done":4,"erred":0,"compute_seconds":1.5,"transfer_seconds":0.0,"disk_seconds":0.0,"nbytes":80}],"activity_seconds":{"thread-cpu":1.25},"active_cpu_seconds":0.0,"nbytes":0,"code":[],"errors":[],"workers":0}');
INSERT INTO public.computations VALUES ('c2', 'aa-c2', 'lab', '2026-03-01 12:00:00.123456+00', '{"id":"aa-c2","cluster_id":"c2","name":"default","started_at":"2026-03-01T12:00:00.123456Z","stopped_at":null,"done":false,"groups":[{"prefix":"mean_chunk","tasks":9,"done":4,"erred":0,"compute_seconds":1.5,"transfer_seconds":0.0,"disk_seconds":0.0,"nbytes":80}],"activity_seconds":{"thread-cpu":1.25},"active_cpu_seconds":0.0,"nbytes":0,"code":[],"errors":[],"workers":0}');
INSERT INTO public.events VALUES (1, 'c1', '2026-03-01 12:00:00.123456+00', 'cluster.created', 'info', 'it began', NULL);
INSERT INTO public.events VALUES (2, 'c2', '2026-03-01 12:00:00.123456+00', 'cluster.created', 'info', 'it began', NULL);
INSERT INTO public.instances VALUES ('i-c1', 'c1', 'worker', 'order-of-i-c1', '{"provider":"fake","vm_type":"process","resources":{"cpus":2.0,"memory":4294967296,"gpus":0,"disk":null},"price":{"per_hour":"0.10","currency":"EUR"},"region":null,"zone":null,"spot":false,"note":""}', 'requested', '2026-03-01 12:00:00.123456+00', '2026-03-01 13:00:00.123456+00', NULL, NULL, NULL, NULL, NULL, NULL, '', true, NULL);
INSERT INTO public.instances VALUES ('i-c2', 'c2', 'worker', 'order-of-i-c2', '{"provider":"fake","vm_type":"process","resources":{"cpus":2.0,"memory":4294967296,"gpus":0,"disk":null},"price":{"per_hour":"0.10","currency":"EUR"},"region":null,"zone":null,"spot":false,"note":""}', 'requested', '2026-03-01 12:00:00.123456+00', '2026-03-01 13:00:00.123456+00', NULL, NULL, NULL, NULL, NULL, NULL, '', true, NULL);
INSERT INTO public.secrets VALUES ('c1', '-----BEGIN CERTIFICATE-----', 'the-key-nobody-may-find-in-the-file', 'the-token-nobody-may-find-in-the-file');
INSERT INTO public.secrets VALUES ('c2', '-----BEGIN CERTIFICATE-----', 'the-key-nobody-may-find-in-the-file', 'the-token-nobody-may-find-in-the-file');
INSERT INTO public.usages VALUES ('i-c1', 0, 'c1', 'ocean', 'lab', 'ada', 'fake', NULL, 'process', 'worker', 2, 4294967296, 0, NULL, '0.10', 'EUR', '2026-03-01 12:00:00.123456+00', NULL, '{"project": "tides"}');
INSERT INTO public.usages VALUES ('i-c2', 0, 'c2', 'ocean', 'lab', 'ada', 'fake', NULL, 'process', 'worker', 2, 4294967296, 0, NULL, '0.10', 'EUR', '2026-03-01 12:00:00.123456+00', NULL, '{"project": "tides"}');
SELECT pg_catalog.setval('public.events_seq_seq', 2, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.clusters
    ADD CONSTRAINT pk_clusters PRIMARY KEY (id);
ALTER TABLE ONLY public.computations
    ADD CONSTRAINT pk_computations PRIMARY KEY (cluster_id, id);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT pk_events PRIMARY KEY (seq);
ALTER TABLE ONLY public.instances
    ADD CONSTRAINT pk_instances PRIMARY KEY (id);
ALTER TABLE ONLY public.secrets
    ADD CONSTRAINT pk_secrets PRIMARY KEY (cluster_id);
ALTER TABLE ONLY public.usages
    ADD CONSTRAINT pk_usages PRIMARY KEY (instance_id, sequence);
CREATE INDEX ix_clusters_wake_at ON public.clusters USING btree (wake_at) WHERE (status <> 'stopped'::text);
CREATE INDEX ix_clusters_workspace_created_at ON public.clusters USING btree (workspace, created_at);
CREATE INDEX ix_computations_workspace_started_at ON public.computations USING btree (workspace, started_at);
CREATE INDEX ix_events_cluster_id_seq ON public.events USING btree (cluster_id, seq);
CREATE INDEX ix_instances_cluster_id ON public.instances USING btree (cluster_id);
CREATE INDEX ix_usages_cluster_id ON public.usages USING btree (cluster_id);
CREATE INDEX ix_usages_workspace_started_at ON public.usages USING btree (workspace, started_at);
CREATE UNIQUE INDEX ux_clusters_live_name ON public.clusters USING btree (workspace, name) WHERE (status <> 'stopped'::text);
ALTER TABLE ONLY public.computations
    ADD CONSTRAINT fk_computations_cluster_id FOREIGN KEY (cluster_id) REFERENCES public.clusters(id);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT fk_events_cluster_id FOREIGN KEY (cluster_id) REFERENCES public.clusters(id);
ALTER TABLE ONLY public.instances
    ADD CONSTRAINT fk_instances_cluster_id FOREIGN KEY (cluster_id) REFERENCES public.clusters(id);
ALTER TABLE ONLY public.secrets
    ADD CONSTRAINT fk_secrets_cluster_id FOREIGN KEY (cluster_id) REFERENCES public.clusters(id);
ALTER TABLE ONLY public.usages
    ADD CONSTRAINT fk_usages_cluster_id FOREIGN KEY (cluster_id) REFERENCES public.clusters(id);
ALTER TABLE ONLY public.usages
    ADD CONSTRAINT fk_usages_instance_id FOREIGN KEY (instance_id) REFERENCES public.instances(id);

BEGIN TRANSACTION;
CREATE TABLE accounts (
	budget_id TEXT NOT NULL, 
	starts_at DATETIME NOT NULL, 
	ends_at DATETIME NOT NULL, 
	committed TEXT NOT NULL, 
	burn_per_hour TEXT NOT NULL, 
	currency TEXT NOT NULL, 
	told INTEGER NOT NULL, 
	wake_at DATETIME, 
	lease_holder TEXT, 
	lease_until DATETIME, 
	CONSTRAINT pk_accounts PRIMARY KEY (budget_id, starts_at), 
	CONSTRAINT fk_accounts_budget_id FOREIGN KEY(budget_id) REFERENCES budgets (id)
);
INSERT INTO "accounts" VALUES('b1','2026-03-01 12:00:00.123456','2026-03-31 12:00:00.123456','1.50','0.20','EUR',50,'2026-03-01 12:01:00.123456',NULL,NULL);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
CREATE TABLE audit (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at DATETIME NOT NULL, 
	workspace TEXT, 
	user TEXT NOT NULL, 
	action TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	request_id TEXT
);
INSERT INTO "audit" VALUES(1,'2026-03-01 12:00:00.123456','lab','ada','member.added','grace','as a member',NULL);
CREATE TABLE budgets (
	id TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	amount TEXT NOT NULL, 
	currency TEXT NOT NULL, 
	period TEXT NOT NULL, 
	starts_at DATETIME, 
	ends_at DATETIME, 
	is_hard BOOLEAN NOT NULL, 
	created_by TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	removed_at DATETIME, 
	CONSTRAINT pk_budgets PRIMARY KEY (id)
);
INSERT INTO "budgets" VALUES('b1','lab','workspace','','100.00','EUR','month',NULL,NULL,1,'ada','2026-03-01 12:00:00.123456',NULL);
CREATE TABLE "clusters" (
	id TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	name TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	spec TEXT NOT NULL, 
	intent TEXT NOT NULL, 
	status TEXT NOT NULL, 
	stop_reason TEXT, 
	stop_detail TEXT NOT NULL, 
	scale_wanted INTEGER NOT NULL, 
	scale_surplus_since DATETIME, 
	scale_surplus_peak INTEGER NOT NULL, 
	scheduler_address TEXT, 
	agent_address TEXT, 
	dashboard_address TEXT, 
	started_at DATETIME, 
	stopping_at DATETIME, 
	stopped_at DATETIME, 
	expires_at DATETIME, 
	observed_at DATETIME, 
	idle_warned_at DATETIME, 
	budget_warned INTEGER NOT NULL, 
	page_failed_at DATETIME, 
	failed_launches INTEGER NOT NULL, 
	retry_at DATETIME, 
	environment_hash TEXT, 
	environment TEXT, 
	lease_holder TEXT, 
	lease_epoch INTEGER NOT NULL, 
	lease_until DATETIME, 
	wake_at DATETIME, 
	revision INTEGER NOT NULL, 
	tries INTEGER DEFAULT '0' NOT NULL, 
	environment_name TEXT, 
	trials_of TEXT DEFAULT '' NOT NULL, 
	trials_failed INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_clusters PRIMARY KEY (id)
);
INSERT INTO "clusters" VALUES('c1','lab','ocean','fake','ada','2026-03-01 12:00:00.123456','{"name":"ocean","workspace":"lab","provider":"fake","scaling":{"minimum":2,"initial":2,"maximum":2,"target_duration":"PT180S","wait_count":24,"interval":"PT5S"},"worker":{"cpus":{"minimum":null,"maximum":null},"memory":{"minimum":null,"maximum":null},"gpus":0,"gpu_type":null,"vm_types":[],"disk":null,"count":1,"least":null,"beside":false},"scheduler":{"cpus":{"minimum":null,"maximum":null},"memory":{"minimum":null,"maximum":null},"gpus":0,"gpu_type":null,"vm_types":[],"disk":null,"count":1,"least":null,"beside":true},"worker_threads":null,"spot_policy":"on-demand","region":null,"arm":false,"software":null,"packages":{"ignore":[],"only":[],"strict":false},"environ":{},"tags":{"project":"tides"},"lifetimes":{"idle":"PT1200S","no_client":"PT120S","total":null,"orphan":"PT600S","start":"PT1200S"},"budget":{"amount":"12.50","currency":"EUR"},"record_history":true,"record_code":false,"dask_config":{"distributed":{"worker":{"memory":{"target":0.6}}}},"worker_options":{},"scheduler_options":{},"backend_options":{},"working_directory":null,"python_path":[]}','{"scaling":{"minimum":2,"initial":2,"maximum":2,"target_duration":"PT180S","wait_count":24,"interval":"PT5S"},"stop":false,"stop_reason":"asked","stop_detail":"","dismiss":[],"ends_by":null,"ends_why":"","ends_for":"","equipment":""}','pending',NULL,'',2,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,0,NULL,'h1','{"python":"3.11.7","platform":"linux-x86_64","packages":[{"name":"dask","version":"1","source":"index","url":"","sha256":"","build":"","subdir":"","extras":[],"is_requested":false,"artifact":""}],"content_hash":"h1","artifacts":[],"indexes":[],"channels":[],"name":""}',NULL,1,NULL,'2026-03-01 12:01:00.123456',2,1,NULL,'',0);
INSERT INTO "clusters" VALUES('c2','lab','sea','fake','ada','2026-03-01 12:00:00.123456','{"name":"sea","workspace":"lab","provider":"fake","scaling":{"minimum":2,"initial":2,"maximum":2,"target_duration":"PT180S","wait_count":24,"interval":"PT5S"},"worker":{"cpus":{"minimum":null,"maximum":null},"memory":{"minimum":null,"maximum":null},"gpus":0,"gpu_type":null,"vm_types":[],"disk":null,"count":1,"least":null,"beside":false},"scheduler":{"cpus":{"minimum":null,"maximum":null},"memory":{"minimum":null,"maximum":null},"gpus":0,"gpu_type":null,"vm_types":[],"disk":null,"count":1,"least":null,"beside":true},"worker_threads":null,"spot_policy":"on-demand","region":null,"arm":false,"software":null,"packages":{"ignore":[],"only":[],"strict":false},"environ":{},"tags":{"project":"tides"},"lifetimes":{"idle":"PT1200S","no_client":"PT120S","total":null,"orphan":"PT600S","start":"PT1200S"},"budget":{"amount":"12.50","currency":"EUR"},"record_history":true,"record_code":false,"dask_config":{"distributed":{"worker":{"memory":{"target":0.6}}}},"worker_options":{},"scheduler_options":{},"backend_options":{},"working_directory":null,"python_path":[]}','{"scaling":{"minimum":2,"initial":2,"maximum":2,"target_duration":"PT180S","wait_count":24,"interval":"PT5S"},"stop":false,"stop_reason":"asked","stop_detail":"","dismiss":[],"ends_by":null,"ends_why":"","ends_for":"","equipment":""}','pending',NULL,'',2,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,0,NULL,'h1','{"python":"3.11.7","platform":"linux-x86_64","packages":[{"name":"dask","version":"1","source":"index","url":"","sha256":"","build":"","subdir":"","extras":[],"is_requested":false,"artifact":""}],"content_hash":"h1","artifacts":[],"indexes":[],"channels":[],"name":""}',NULL,1,NULL,'2026-03-01 12:01:00.123456',2,1,NULL,'',0);
CREATE TABLE computations (
	cluster_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	started_at DATETIME, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_computations PRIMARY KEY (cluster_id, id), 
	CONSTRAINT fk_computations_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id)
);
INSERT INTO "computations" VALUES('c1','aa-c1','lab','2026-03-01 12:00:00.123456','{"id":"aa-c1","cluster_id":"c1","name":"default","started_at":"2026-03-01T12:00:00.123456Z","stopped_at":null,"done":false,"groups":[{"prefix":"mean_chunk","tasks":9,"done":4,"erred":0,"compute_seconds":1.5,"transfer_seconds":0.0,"disk_seconds":0.0,"nbytes":80}],"activity_seconds":{"thread-cpu":1.25},"active_cpu_seconds":0.0,"nbytes":0,"code":[],"errors":[],"workers":0}');
INSERT INTO "computations" VALUES('c2','aa-c2','lab','2026-03-01 12:00:00.123456','{"id":"aa-c2","cluster_id":"c2","name":"default","started_at":"2026-03-01T12:00:00.123456Z","stopped_at":null,"done":false,"groups":[{"prefix":"mean_chunk","tasks":9,"done":4,"erred":0,"compute_seconds":1.5,"transfer_seconds":0.0,"disk_seconds":0.0,"nbytes":80}],"activity_seconds":{"thread-cpu":1.25},"active_cpu_seconds":0.0,"nbytes":0,"code":[],"errors":[],"workers":0}');
CREATE TABLE "environments" (
	workspace TEXT NOT NULL, 
	name TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	created_by TEXT NOT NULL, 
	content_hash TEXT NOT NULL, 
	image TEXT NOT NULL, 
	source TEXT NOT NULL, 
	note TEXT NOT NULL, 
	platforms TEXT NOT NULL, 
	python TEXT NOT NULL, 
	packages INTEGER NOT NULL, 
	environments TEXT NOT NULL, 
	deleted_at DATETIME, 
	size INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_environments PRIMARY KEY (workspace, name, version)
);
INSERT INTO "environments" VALUES('lab','climate',1,'2026-03-01 12:00:00.123456','ada','ee','','environment.yml','of the paper','linux-x86_64','3.11',0,'[{"python":"3.11","platform":"linux-x86_64","packages":[],"content_hash":"ff"}]',NULL,0);
CREATE TABLE events (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	cluster_id TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	kind TEXT NOT NULL, 
	level TEXT NOT NULL, 
	message TEXT NOT NULL, 
	instance_id TEXT, 
	CONSTRAINT fk_events_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id)
);
INSERT INTO "events" VALUES(1,'c1','2026-03-01 12:00:00.123456','cluster.created','info','it began',NULL);
INSERT INTO "events" VALUES(2,'c2','2026-03-01 12:00:00.123456','cluster.created','info','it began',NULL);
CREATE TABLE facts (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_facts PRIMARY KEY (name)
);
INSERT INTO "facts" VALUES('installation','shared-1');
CREATE TABLE idempotency (
	user_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	request_hash TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	status INTEGER, 
	body TEXT, 
	CONSTRAINT pk_idempotency PRIMARY KEY (user_id, "key")
);
INSERT INTO "idempotency" VALUES('u1','k1','dd','2026-03-01 12:00:00.123456',201,'{}');
CREATE TABLE identities (
	issuer TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	CONSTRAINT pk_identities PRIMARY KEY (issuer, subject), 
	CONSTRAINT fk_identities_user_id FOREIGN KEY(user_id) REFERENCES users (id)
);
INSERT INTO "identities" VALUES('https://id.example.org','0001','u1');
CREATE TABLE instances (
	id TEXT NOT NULL, 
	cluster_id TEXT NOT NULL, 
	role TEXT NOT NULL, 
	order_id TEXT NOT NULL, 
	offer TEXT NOT NULL, 
	status TEXT NOT NULL, 
	requested_at DATETIME NOT NULL, 
	expires_at DATETIME, 
	handle TEXT, 
	started_at DATETIME, 
	running_at DATETIME, 
	stopped_at DATETIME, 
	exit_code INTEGER, 
	"end" TEXT, 
	detail TEXT NOT NULL, 
	wanted BOOLEAN NOT NULL, 
	unwanted_at DATETIME, equipment TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_instances PRIMARY KEY (id), 
	CONSTRAINT fk_instances_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id)
);
INSERT INTO "instances" VALUES('i-c1','c1','worker','order-of-i-c1','{"provider":"fake","vm_type":"process","resources":{"cpus":2.0,"memory":4294967296,"gpus":0,"disk":null},"price":{"per_hour":"0.10","currency":"EUR"},"region":null,"zone":null,"spot":false,"room":null,"target":null,"note":""}','requested','2026-03-01 12:00:00.123456','2026-03-01 13:00:00.123456',NULL,NULL,NULL,NULL,NULL,NULL,'',1,NULL,'');
INSERT INTO "instances" VALUES('i-c2','c2','worker','order-of-i-c2','{"provider":"fake","vm_type":"process","resources":{"cpus":2.0,"memory":4294967296,"gpus":0,"disk":null},"price":{"per_hour":"0.10","currency":"EUR"},"region":null,"zone":null,"spot":false,"room":null,"target":null,"note":""}','requested','2026-03-01 12:00:00.123456','2026-03-01 13:00:00.123456',NULL,NULL,NULL,NULL,NULL,NULL,'',1,NULL,'');
CREATE TABLE invitations (
	id TEXT NOT NULL, 
	secret_hash TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	role TEXT NOT NULL, 
	invited_by TEXT NOT NULL, 
	email TEXT, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	used_at DATETIME, 
	used_by TEXT, 
	CONSTRAINT pk_invitations PRIMARY KEY (id), 
	CONSTRAINT fk_invitations_workspace FOREIGN KEY(workspace) REFERENCES workspaces (name)
);
INSERT INTO "invitations" VALUES('inv1','aa','lab','member','ada',NULL,'2026-03-01 12:00:00.123456','2026-03-31 12:00:00.123456',NULL,NULL);
CREATE TABLE members (
	workspace TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	role TEXT NOT NULL, 
	agreed_to_mentoring BOOLEAN NOT NULL, 
	joined_at DATETIME NOT NULL, 
	CONSTRAINT pk_members PRIMARY KEY (workspace, user_id), 
	CONSTRAINT fk_members_workspace FOREIGN KEY(workspace) REFERENCES workspaces (name), 
	CONSTRAINT fk_members_user_id FOREIGN KEY(user_id) REFERENCES users (id)
);
INSERT INTO "members" VALUES('lab','u1','owner',0,'2026-03-01 12:00:00.123456');
CREATE TABLE outbox (
	id TEXT NOT NULL, 
	workspace TEXT, 
	kind TEXT NOT NULL, 
	target TEXT NOT NULL, 
	body TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	attempts INTEGER NOT NULL, 
	wake_at DATETIME, 
	error TEXT, 
	delivered_at DATETIME, 
	CONSTRAINT pk_outbox PRIMARY KEY (id)
);
INSERT INTO "outbox" VALUES('o1','lab','email','ada@example.org','{}','2026-03-01 12:00:00.123456',1,'2026-03-01 12:01:00.123456','no answer',NULL);
CREATE TABLE reservations (
	budget_id TEXT NOT NULL, 
	starts_at DATETIME NOT NULL, 
	cluster_id TEXT NOT NULL, 
	reserved TEXT NOT NULL, 
	spent TEXT NOT NULL, 
	burn_per_hour TEXT NOT NULL, 
	currency TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	use TEXT NOT NULL, 
	CONSTRAINT pk_reservations PRIMARY KEY (budget_id, starts_at, cluster_id), 
	CONSTRAINT fk_reservations_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id)
);
INSERT INTO "reservations" VALUES('b1','2026-03-01 12:00:00.123456','c1','1.50','0.10','0.20','EUR','2026-03-01 12:00:00.123456','used');
CREATE TABLE reviews (
	id TEXT NOT NULL, 
	partner TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	user TEXT NOT NULL, 
	written_at DATETIME NOT NULL, 
	said TEXT NOT NULL, 
	proof TEXT, 
	status TEXT NOT NULL, 
	decided_by TEXT, 
	decided_at DATETIME, 
	reason TEXT NOT NULL, 
	answer_by TEXT, 
	answered_at DATETIME, 
	answer TEXT, 
	CONSTRAINT pk_reviews PRIMARY KEY (id)
);
INSERT INTO "reviews" VALUES('review-1','2i2c','u1','ada','2026-03-01 12:00:00.123456','{"used_for":"research","used_from":"2024-01-01","interest":"none","points":{"ease":4}}',NULL,'published','root','2026-03-01 12:00:00.123456','',NULL,NULL,NULL);
CREATE TABLE secrets (
	cluster_id TEXT NOT NULL, 
	authority_certificate TEXT NOT NULL, 
	authority_key TEXT NOT NULL, 
	agent_token TEXT NOT NULL, 
	CONSTRAINT pk_secrets PRIMARY KEY (cluster_id), 
	CONSTRAINT fk_secrets_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id)
);
INSERT INTO "secrets" VALUES('c1','-----BEGIN CERTIFICATE-----','the-key-nobody-may-find-in-the-file','the-token-nobody-may-find-in-the-file');
INSERT INTO "secrets" VALUES('c2','-----BEGIN CERTIFICATE-----','the-key-nobody-may-find-in-the-file','the-token-nobody-may-find-in-the-file');
CREATE TABLE speakers (
	partner TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	user TEXT NOT NULL, 
	appointed_by TEXT NOT NULL, 
	appointed_at DATETIME NOT NULL, 
	CONSTRAINT pk_speakers PRIMARY KEY (partner, user_id)
);
INSERT INTO "speakers" VALUES('2i2c','u2','bob','root','2026-03-01 12:00:00.123456');
CREATE TABLE tokens (
	id TEXT NOT NULL, 
	secret_hash TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	label TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	workspace TEXT, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME, 
	revoked_at DATETIME, 
	last_used_at DATETIME, session_of TEXT, 
	CONSTRAINT pk_tokens PRIMARY KEY (id), 
	CONSTRAINT fk_tokens_user_id FOREIGN KEY(user_id) REFERENCES users (id)
);
INSERT INTO "tokens" VALUES('t1','bb','u1','laptop','read clusters',NULL,'2026-03-01 12:00:00.123456','2026-03-31 12:00:00.123456',NULL,NULL,NULL);
CREATE TABLE usages (
	instance_id TEXT NOT NULL, 
	sequence INTEGER NOT NULL, 
	cluster_id TEXT NOT NULL, 
	cluster_name TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	region TEXT, 
	vm_type TEXT NOT NULL, 
	role TEXT NOT NULL, 
	cpus FLOAT NOT NULL, 
	memory BIGINT NOT NULL, 
	gpus INTEGER NOT NULL, 
	disk BIGINT, 
	price_per_hour TEXT, 
	currency TEXT, 
	started_at DATETIME NOT NULL, 
	stopped_at DATETIME, 
	tags TEXT NOT NULL, 
	CONSTRAINT pk_usages PRIMARY KEY (instance_id, sequence), 
	CONSTRAINT fk_usages_instance_id FOREIGN KEY(instance_id) REFERENCES instances (id), 
	CONSTRAINT fk_usages_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id)
);
INSERT INTO "usages" VALUES('i-c1',0,'c1','ocean','lab','ada','fake',NULL,'process','worker',2.0,4294967296,0,NULL,'0.10','EUR','2026-03-01 12:00:00.123456',NULL,'{"project": "tides"}');
INSERT INTO "usages" VALUES('i-c2',0,'c2','ocean','lab','ada','fake',NULL,'process','worker',2.0,4294967296,0,NULL,'0.10','EUR','2026-03-01 12:00:00.123456',NULL,'{"project": "tides"}');
CREATE TABLE users (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	email TEXT, 
	is_operator BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, 
	disabled_at DATETIME, 
	CONSTRAINT pk_users PRIMARY KEY (id)
);
INSERT INTO "users" VALUES('u1','ada','ada@example.org',1,'2026-03-01 12:00:00.123456',NULL);
CREATE TABLE webhooks (
	id TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	url TEXT NOT NULL, 
	signing_key TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_webhooks PRIMARY KEY (id)
);
INSERT INTO "webhooks" VALUES('w1','lab','https://example.org/hook','cc','ada','2026-03-01 12:00:00.123456');
CREATE TABLE workspaces (
	name TEXT NOT NULL, 
	title TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_workspaces PRIMARY KEY (name)
);
INSERT INTO "workspaces" VALUES('lab','Ocean lab','2026-03-01 12:00:00.123456');
CREATE INDEX ix_computations_workspace_started_at ON computations (workspace, started_at);
CREATE INDEX ix_events_cluster_id_seq ON events (cluster_id, seq);
CREATE INDEX ix_instances_cluster_id ON instances (cluster_id);
CREATE INDEX ix_usages_cluster_id ON usages (cluster_id);
CREATE INDEX ix_usages_workspace_started_at ON usages (workspace, started_at);
CREATE UNIQUE INDEX ux_users_name ON users (name);
CREATE INDEX ix_identities_user_id ON identities (user_id);
CREATE INDEX ix_members_user_id ON members (user_id);
CREATE INDEX ix_invitations_workspace ON invitations (workspace);
CREATE UNIQUE INDEX ux_invitations_secret_hash ON invitations (secret_hash);
CREATE INDEX ix_tokens_user_id ON tokens (user_id);
CREATE UNIQUE INDEX ux_tokens_secret_hash ON tokens (secret_hash);
CREATE INDEX ix_audit_workspace_seq ON audit (workspace, seq);
CREATE INDEX ix_budgets_workspace ON budgets (workspace);
CREATE INDEX ix_accounts_wake_at ON accounts (wake_at);
CREATE INDEX ix_reservations_cluster_id ON reservations (cluster_id);
CREATE INDEX ix_outbox_wake_at ON outbox (wake_at);
CREATE INDEX ix_webhooks_workspace ON webhooks (workspace);
CREATE INDEX ix_idempotency_created_at ON idempotency (created_at);
CREATE INDEX ix_usages_workspace_stopped_at ON usages (workspace, stopped_at);
CREATE INDEX ix_clusters_workspace_created_at ON clusters (workspace, created_at);
CREATE INDEX ix_clusters_wake_at ON clusters (wake_at) WHERE status != 'stopped';
CREATE UNIQUE INDEX ux_clusters_live_name ON clusters (workspace, name) WHERE status != 'stopped';
CREATE UNIQUE INDEX ix_reviews_partner_user_id ON reviews (partner, user_id);
CREATE INDEX ix_reviews_status_written_at ON reviews (status, written_at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',2);
INSERT INTO "sqlite_sequence" VALUES('audit',1);
COMMIT;

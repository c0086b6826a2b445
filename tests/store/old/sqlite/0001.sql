BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE clusters (
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
	CONSTRAINT pk_clusters PRIMARY KEY (id)
);
INSERT INTO "clusters" VALUES('c1','lab','ocean','fake','ada','2026-03-01 12:00:00.123456','{"name":"ocean","workspace":"lab","provider":"fake","scaling":{"minimum":2,"initial":2,"maximum":2,"target_duration":"PT3M","wait_count":24,"interval":"PT5S"},"worker":{"cpus":{"minimum":null,"maximum":null},"memory":{"minimum":null,"maximum":null},"gpus":0,"gpu_type":null,"vm_types":[],"disk":null,"count":1,"beside":false},"scheduler":{"cpus":{"minimum":null,"maximum":null},"memory":{"minimum":null,"maximum":null},"gpus":0,"gpu_type":null,"vm_types":[],"disk":null,"count":1,"beside":true},"worker_threads":null,"spot_policy":"on-demand","region":null,"arm":false,"software":null,"environ":{},"tags":{"project":"tides"},"lifetimes":{"idle":"PT20M","no_client":"PT2M","total":null,"orphan":"PT10M","start":"PT20M"},"budget":{"amount":"12.50","currency":"EUR"},"record_history":true,"record_code":false,"dask_config":{"distributed":{"worker":{"memory":{"target":0.6}}}},"worker_options":{},"scheduler_options":{},"working_directory":null,"python_path":[]}','{"scaling":{"minimum":2,"initial":2,"maximum":2,"target_duration":"PT3M","wait_count":24,"interval":"PT5S"},"stop":false,"stop_reason":"asked","stop_detail":"","dismiss":[]}','pending',NULL,'',2,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,0,NULL,'h1','{"python":"3.11.7","platform":"linux-x86_64","packages":[["dask","1"]],"content_hash":"h1"}',NULL,1,NULL,'2026-03-01 12:01:00.123456',2);
INSERT INTO "clusters" VALUES('c2','lab','sea','fake','ada','2026-03-01 12:00:00.123456','{"name":"sea","workspace":"lab","provider":"fake","scaling":{"minimum":2,"initial":2,"maximum":2,"target_duration":"PT3M","wait_count":24,"interval":"PT5S"},"worker":{"cpus":{"minimum":null,"maximum":null},"memory":{"minimum":null,"maximum":null},"gpus":0,"gpu_type":null,"vm_types":[],"disk":null,"count":1,"beside":false},"scheduler":{"cpus":{"minimum":null,"maximum":null},"memory":{"minimum":null,"maximum":null},"gpus":0,"gpu_type":null,"vm_types":[],"disk":null,"count":1,"beside":true},"worker_threads":null,"spot_policy":"on-demand","region":null,"arm":false,"software":null,"environ":{},"tags":{"project":"tides"},"lifetimes":{"idle":"PT20M","no_client":"PT2M","total":null,"orphan":"PT10M","start":"PT20M"},"budget":{"amount":"12.50","currency":"EUR"},"record_history":true,"record_code":false,"dask_config":{"distributed":{"worker":{"memory":{"target":0.6}}}},"worker_options":{},"scheduler_options":{},"working_directory":null,"python_path":[]}','{"scaling":{"minimum":2,"initial":2,"maximum":2,"target_duration":"PT3M","wait_count":24,"interval":"PT5S"},"stop":false,"stop_reason":"asked","stop_detail":"","dismiss":[]}','pending',NULL,'',2,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,0,NULL,'h1','{"python":"3.11.7","platform":"linux-x86_64","packages":[["dask","1"]],"content_hash":"h1"}',NULL,1,NULL,'2026-03-01 12:01:00.123456',2);
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
	unwanted_at DATETIME, 
	CONSTRAINT pk_instances PRIMARY KEY (id), 
	CONSTRAINT fk_instances_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id)
);
INSERT INTO "instances" VALUES('i-c1','c1','worker','order-of-i-c1','{"provider":"fake","vm_type":"process","resources":{"cpus":2.0,"memory":4294967296,"gpus":0,"disk":null},"price":{"per_hour":"0.10","currency":"EUR"},"region":null,"zone":null,"spot":false,"note":""}','requested','2026-03-01 12:00:00.123456','2026-03-01 13:00:00.123456',NULL,NULL,NULL,NULL,NULL,NULL,'',1,NULL);
INSERT INTO "instances" VALUES('i-c2','c2','worker','order-of-i-c2','{"provider":"fake","vm_type":"process","resources":{"cpus":2.0,"memory":4294967296,"gpus":0,"disk":null},"price":{"per_hour":"0.10","currency":"EUR"},"region":null,"zone":null,"spot":false,"note":""}','requested','2026-03-01 12:00:00.123456','2026-03-01 13:00:00.123456',NULL,NULL,NULL,NULL,NULL,NULL,'',1,NULL);
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
CREATE INDEX ix_clusters_wake_at ON clusters (wake_at) WHERE status != 'stopped';
CREATE INDEX ix_clusters_workspace_created_at ON clusters (workspace, created_at);
CREATE UNIQUE INDEX ux_clusters_live_name ON clusters (workspace, name) WHERE status != 'stopped';
CREATE INDEX ix_computations_workspace_started_at ON computations (workspace, started_at);
CREATE INDEX ix_events_cluster_id_seq ON events (cluster_id, seq);
CREATE INDEX ix_instances_cluster_id ON instances (cluster_id);
CREATE INDEX ix_usages_cluster_id ON usages (cluster_id);
CREATE INDEX ix_usages_workspace_started_at ON usages (workspace, started_at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',2);
COMMIT;

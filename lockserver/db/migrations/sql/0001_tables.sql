-- Written by lockserver.db.migrations.draft from the models.

CREATE TABLE accounts (
	id UUID NOT NULL,
	phone_index BYTEA NOT NULL,
	phone_mask VARCHAR NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT accounts_pkey PRIMARY KEY (id),
	CONSTRAINT accounts_phone_index_length_check CHECK (octet_length(phone_index) = 32),
	CONSTRAINT accounts_phone_index_key UNIQUE (phone_index)
);

CREATE TABLE audit_checkpoints (
	number BIGINT NOT NULL,
	below_txid BIGINT NOT NULL,
	count BIGINT NOT NULL,
	root_hash BYTEA NOT NULL,
	prev_hash BYTEA NOT NULL,
	signature BYTEA NOT NULL,
	kid BYTEA NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT audit_checkpoints_pkey PRIMARY KEY (number),
	CONSTRAINT audit_checkpoints_root_hash_length_check CHECK (octet_length(root_hash) = 32),
	CONSTRAINT audit_checkpoints_prev_hash_length_check CHECK (octet_length(prev_hash) = 32)
);

CREATE TABLE audit_log (
	id BIGINT GENERATED ALWAYS AS IDENTITY,
	at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	actor VARCHAR NOT NULL,
	verb VARCHAR NOT NULL,
	object VARCHAR NOT NULL,
	detail JSONB NOT NULL,
	txid xid8 DEFAULT pg_current_xact_id() NOT NULL,
	CONSTRAINT audit_log_pkey PRIMARY KEY (id)
);

CREATE TABLE firmware_images (
	id UUID NOT NULL,
	model VARCHAR NOT NULL,
	serials VARCHAR NOT NULL,
	counter BIGINT NOT NULL,
	version VARCHAR NOT NULL,
	manifest BYTEA NOT NULL,
	image BYTEA NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT firmware_images_pkey PRIMARY KEY (id),
	CONSTRAINT firmware_images_counter_check CHECK (counter >= 0),
	CONSTRAINT firmware_images_size_check CHECK (octet_length(image) BETWEEN 1 AND 1048576),
	CONSTRAINT firmware_images_model_counter_key UNIQUE (model, counter)
);

CREATE TABLE idempotency (
	caller VARCHAR NOT NULL,
	key VARCHAR NOT NULL,
	route VARCHAR NOT NULL,
	body_hash BYTEA NOT NULL,
	state VARCHAR DEFAULT 'running' NOT NULL,
	status INTEGER,
	headers JSONB,
	response BYTEA,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT idempotency_pkey PRIMARY KEY (caller, key),
	CONSTRAINT idempotency_state_check CHECK (state IN ('running', 'done')),
	CONSTRAINT idempotency_body_hash_length_check CHECK (octet_length(body_hash) = 32),
	CONSTRAINT idempotency_answer_check CHECK ((state = 'done') = (status IS NOT NULL))
);

CREATE TABLE login_codes (
	id UUID NOT NULL,
	phone_index BYTEA NOT NULL,
	code_hash BYTEA NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	attempts INTEGER DEFAULT '0' NOT NULL,
	used_at TIMESTAMP WITH TIME ZONE,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT login_codes_pkey PRIMARY KEY (id),
	CONSTRAINT login_codes_attempts_check CHECK (attempts >= 0)
);

CREATE INDEX login_codes_phone_index_idx ON login_codes (phone_index);

CREATE TABLE requests (
	id UUID NOT NULL,
	asked_by VARCHAR DEFAULT CURRENT_USER NOT NULL,
	to_role VARCHAR NOT NULL,
	kind VARCHAR NOT NULL,
	body BYTEA,
	state VARCHAR DEFAULT 'new' NOT NULL,
	response BYTEA,
	error_code VARCHAR,
	error_detail JSONB,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	done_at TIMESTAMP WITH TIME ZONE,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT requests_pkey PRIMARY KEY (id),
	CONSTRAINT requests_to_role_check CHECK (to_role IN ('issuer', 'verify', 'bridge', 'relay', 'jobs')),
	CONSTRAINT requests_state_check CHECK (state IN ('new', 'done', 'failed')),
	CONSTRAINT requests_failed_check CHECK ((state = 'failed') = (error_code IS NOT NULL)),
	CONSTRAINT requests_done_check CHECK ((state <> 'new') = (done_at IS NOT NULL))
);

CREATE INDEX requests_new_idx ON requests (to_role, id) WHERE state = 'new';

CREATE TABLE site_keys (
	id UUID NOT NULL,
	kind VARCHAR NOT NULL,
	kid BYTEA NOT NULL,
	public BYTEA NOT NULL,
	state VARCHAR NOT NULL,
	key_set BYTEA,
	key_set_number INTEGER,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT site_keys_pkey PRIMARY KEY (id),
	CONSTRAINT site_keys_kind_check CHECK (kind IN ('root', 'issuer', 'command', 'report', 'verify', 'relay', 'device_ca', 'checkpoint', 'province', 'pins')),
	CONSTRAINT site_keys_state_check CHECK (state IN ('current', 'retired')),
	CONSTRAINT site_keys_key_set_check CHECK ((kind = 'root') = (key_set IS NOT NULL)),
	CONSTRAINT site_keys_number_check CHECK ((key_set IS NULL) = (key_set_number IS NULL)),
	CONSTRAINT site_keys_kind_kid_key UNIQUE (kind, kid)
);

CREATE UNIQUE INDEX site_keys_kind_current_key ON site_keys (kind) WHERE state = 'current';

CREATE TABLE holders (
	id UUID NOT NULL,
	account_id UUID,
	subject BYTEA NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT holders_pkey PRIMARY KEY (id),
	CONSTRAINT holders_subject_length_check CHECK (octet_length(subject) = 16),
	CONSTRAINT holders_account_id_key UNIQUE (account_id),
	CONSTRAINT holders_account_id_fkey FOREIGN KEY(account_id) REFERENCES accounts (id),
	CONSTRAINT holders_subject_key UNIQUE (subject)
);

CREATE TABLE sessions (
	id UUID NOT NULL,
	account_id UUID NOT NULL,
	access_hash BYTEA NOT NULL,
	access_expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	refresh_hash BYTEA NOT NULL,
	refresh_expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	revoked_at TIMESTAMP WITH TIME ZONE,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT sessions_pkey PRIMARY KEY (id),
	CONSTRAINT sessions_access_hash_length_check CHECK (octet_length(access_hash) = 32),
	CONSTRAINT sessions_refresh_hash_length_check CHECK (octet_length(refresh_hash) = 32),
	CONSTRAINT sessions_account_id_fkey FOREIGN KEY(account_id) REFERENCES accounts (id),
	CONSTRAINT sessions_access_hash_key UNIQUE (access_hash),
	CONSTRAINT sessions_refresh_hash_key UNIQUE (refresh_hash)
);

CREATE INDEX sessions_account_id_idx ON sessions (account_id);

CREATE TABLE houses (
	id UUID NOT NULL,
	owner_holder_id UUID NOT NULL,
	name VARCHAR NOT NULL,
	address_id VARCHAR NOT NULL,
	station_code VARCHAR NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT houses_pkey PRIMARY KEY (id),
	CONSTRAINT houses_owner_holder_id_fkey FOREIGN KEY(owner_holder_id) REFERENCES holders (id)
);

CREATE INDEX houses_owner_holder_id_idx ON houses (owner_holder_id);

CREATE TABLE notices (
	id UUID NOT NULL,
	holder_id UUID NOT NULL,
	kind VARCHAR NOT NULL,
	about UUID NOT NULL,
	detail JSONB NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	seen_at TIMESTAMP WITH TIME ZONE,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT notices_pkey PRIMARY KEY (id),
	CONSTRAINT notices_kind_check CHECK (kind IN ('entry_consent', 'entry_emergency', 'entry_ended', 'grant_given', 'grant_frozen', 'grant_unfrozen', 'grant_revoked', 'grant_edited', 'access_at_risk', 'card_refused', 'lock_released')),
	CONSTRAINT notices_holder_id_fkey FOREIGN KEY(holder_id) REFERENCES holders (id)
);

CREATE INDEX notices_about_idx ON notices (about);

CREATE INDEX notices_holder_id_idx ON notices (holder_id);

CREATE TABLE phones (
	id UUID NOT NULL,
	holder_id UUID NOT NULL,
	sign_pub BYTEA NOT NULL,
	ecdh_pub BYTEA NOT NULL,
	session_id UUID,
	state VARCHAR NOT NULL,
	proved_by VARCHAR,
	revoked_at TIMESTAMP WITH TIME ZONE,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT phones_pkey PRIMARY KEY (id),
	CONSTRAINT phones_state_check CHECK (state IN ('pending', 'active', 'revoked')),
	CONSTRAINT phones_proved_by_check CHECK (proved_by IN ('button', 'face', 'staff', 'grantor')),
	CONSTRAINT phones_proved_check CHECK ((state <> 'active') OR (proved_by IS NOT NULL)),
	CONSTRAINT phones_revoked_check CHECK ((state = 'revoked') = (revoked_at IS NOT NULL)),
	CONSTRAINT phones_sign_pub_length_check CHECK (octet_length(sign_pub) = 65),
	CONSTRAINT phones_ecdh_pub_length_check CHECK (octet_length(ecdh_pub) = 65),
	CONSTRAINT phones_holder_id_fkey FOREIGN KEY(holder_id) REFERENCES holders (id),
	CONSTRAINT phones_sign_pub_key UNIQUE (sign_pub),
	CONSTRAINT phones_session_id_fkey FOREIGN KEY(session_id) REFERENCES sessions (id)
);

CREATE INDEX phones_holder_id_active_idx ON phones (holder_id) WHERE state = 'active';

CREATE INDEX phones_holder_id_idx ON phones (holder_id);

CREATE UNIQUE INDEX phones_key_idx ON phones (sha256(sign_pub));

CREATE TABLE doors (
	id UUID NOT NULL,
	house_id UUID NOT NULL,
	kind VARCHAR NOT NULL,
	name VARCHAR NOT NULL,
	capacity INTEGER,
	epoch INTEGER,
	hold_open JSONB,
	auto_lock INTEGER,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT doors_pkey PRIMARY KEY (id),
	CONSTRAINT doors_kind_check CHECK (kind IN ('gate', 'room')),
	CONSTRAINT doors_epoch_check CHECK ((kind = 'gate') = (epoch IS NULL) AND (epoch IS NULL OR epoch >= 0)),
	CONSTRAINT doors_capacity_check CHECK ((kind = 'gate') = (capacity IS NULL) AND capacity > 0),
	CONSTRAINT doors_hold_open_check CHECK (hold_open IS NULL OR kind = 'gate'),
	CONSTRAINT doors_auto_lock_check CHECK (auto_lock BETWEEN 0 AND 600),
	CONSTRAINT doors_house_id_fkey FOREIGN KEY(house_id) REFERENCES houses (id)
);

CREATE INDEX doors_house_id_idx ON doors (house_id);

CREATE TABLE gateways (
	id UUID NOT NULL,
	house_id UUID NOT NULL,
	name VARCHAR NOT NULL,
	sign_pub BYTEA NOT NULL,
	ecdh_pub BYTEA NOT NULL,
	certificate BYTEA,
	broker_secret_hash BYTEA,
	shard VARCHAR NOT NULL,
	state VARCHAR NOT NULL,
	boot BIGINT,
	free INTEGER,
	last_seen_at TIMESTAMP WITH TIME ZONE,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT gateways_pkey PRIMARY KEY (id),
	CONSTRAINT gateways_state_check CHECK (state IN ('active', 'retired')),
	CONSTRAINT gateways_sign_pub_length_check CHECK (octet_length(sign_pub) = 65),
	CONSTRAINT gateways_ecdh_pub_length_check CHECK (octet_length(ecdh_pub) = 65),
	CONSTRAINT gateways_broker_secret_hash_length_check CHECK (octet_length(broker_secret_hash) = 32),
	CONSTRAINT gateways_shard_check CHECK (shard ~ '^[0-3][0-9a-f]$'),
	CONSTRAINT gateways_house_id_fkey FOREIGN KEY(house_id) REFERENCES houses (id),
	CONSTRAINT gateways_sign_pub_key UNIQUE (sign_pub)
);

CREATE INDEX gateways_house_id_idx ON gateways (house_id);

CREATE TABLE wishes (
	id UUID NOT NULL,
	holder_id UUID NOT NULL,
	phone_id UUID NOT NULL,
	operation VARCHAR NOT NULL,
	target UUID NOT NULL,
	not_after TIMESTAMP WITH TIME ZONE NOT NULL,
	raw BYTEA NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT wishes_pkey PRIMARY KEY (id),
	CONSTRAINT wishes_holder_id_fkey FOREIGN KEY(holder_id) REFERENCES holders (id),
	CONSTRAINT wishes_phone_id_fkey FOREIGN KEY(phone_id) REFERENCES phones (id)
);

CREATE INDEX wishes_holder_id_idx ON wishes (holder_id);

CREATE INDEX wishes_target_idx ON wishes (target) WHERE operation NOT IN ('unlock', 'lock', 'hold_open');

CREATE TABLE house_staff (
	house_id UUID NOT NULL,
	holder_id UUID NOT NULL,
	wish_id UUID,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT house_staff_pkey PRIMARY KEY (house_id, holder_id),
	CONSTRAINT house_staff_house_id_fkey FOREIGN KEY(house_id) REFERENCES houses (id),
	CONSTRAINT house_staff_holder_id_fkey FOREIGN KEY(holder_id) REFERENCES holders (id),
	CONSTRAINT house_staff_wish_id_fkey FOREIGN KEY(wish_id) REFERENCES wishes (id)
);

CREATE TABLE locks (
	id UUID NOT NULL,
	door_id UUID NOT NULL,
	serial VARCHAR NOT NULL,
	sign_pub BYTEA NOT NULL,
	ecdh_pub BYTEA NOT NULL,
	factory_fingerprint BYTEA NOT NULL,
	certificate BYTEA,
	shard VARCHAR NOT NULL,
	state VARCHAR NOT NULL,
	broker_secret_hash BYTEA,
	seed_sealed BYTEA,
	command_counter BIGINT DEFAULT '0' NOT NULL,
	enrolled_at TIMESTAMP WITH TIME ZONE,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT locks_pkey PRIMARY KEY (id),
	CONSTRAINT locks_state_check CHECK (state IN ('enrolling', 'active', 'releasing', 'retired')),
	CONSTRAINT locks_sign_pub_length_check CHECK (octet_length(sign_pub) = 65),
	CONSTRAINT locks_ecdh_pub_length_check CHECK (octet_length(ecdh_pub) = 65),
	CONSTRAINT locks_shard_check CHECK (shard ~ '^[0-3][0-9a-f]$'),
	CONSTRAINT locks_command_counter_check CHECK (command_counter >= 0),
	CONSTRAINT locks_door_id_fkey FOREIGN KEY(door_id) REFERENCES doors (id)
);

CREATE UNIQUE INDEX locks_door_id_active_key ON locks (door_id) WHERE state = 'active';

CREATE INDEX locks_door_id_idx ON locks (door_id);

CREATE UNIQUE INDEX locks_serial_active_key ON locks (serial) WHERE state = 'active';

CREATE TABLE tenancies (
	id UUID NOT NULL,
	door_id UUID NOT NULL,
	lower TIMESTAMP WITH TIME ZONE NOT NULL,
	upper TIMESTAMP WITH TIME ZONE NOT NULL,
	epoch INTEGER NOT NULL,
	state VARCHAR NOT NULL,
	signed_by UUID NOT NULL,
	ended_at TIMESTAMP WITH TIME ZONE,
	ended_by UUID,
	end_reason VARCHAR,
	key_policy VARCHAR NOT NULL,
	wish_id UUID,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT tenancies_pkey PRIMARY KEY (id),
	CONSTRAINT tenancies_state_check CHECK (state IN ('signed', 'ended')),
	CONSTRAINT tenancies_key_policy_check CHECK (key_policy IN ('on_submit', 'on_receipt')),
	CONSTRAINT tenancies_end_reason_check CHECK (end_reason IN ('window', 'early_tenant', 'authority')),
	CONSTRAINT tenancies_window_check CHECK (lower < upper),
	CONSTRAINT tenancies_ended_check CHECK ((state = 'ended') = (ended_at IS NOT NULL) AND (state = 'ended') = (end_reason IS NOT NULL)),
	CONSTRAINT tenancies_early_check CHECK (end_reason IS DISTINCT FROM 'early_tenant' OR ended_by IS NOT NULL),
	CONSTRAINT tenancies_epoch_check CHECK (epoch > 0),
	CONSTRAINT tenancies_one_living_excl EXCLUDE USING gist (room_span(door_id, lower, upper) WITH &&) WHERE (state = 'signed'),
	CONSTRAINT tenancies_door_id_epoch_key UNIQUE (door_id, epoch),
	CONSTRAINT tenancies_door_id_fkey FOREIGN KEY(door_id) REFERENCES doors (id),
	CONSTRAINT tenancies_signed_by_fkey FOREIGN KEY(signed_by) REFERENCES holders (id),
	CONSTRAINT tenancies_ended_by_fkey FOREIGN KEY(ended_by) REFERENCES holders (id),
	CONSTRAINT tenancies_wish_id_key UNIQUE (wish_id),
	CONSTRAINT tenancies_wish_id_fkey FOREIGN KEY(wish_id) REFERENCES wishes (id)
);

CREATE INDEX tenancies_door_id_idx ON tenancies (door_id);

CREATE TABLE wish_terms (
	wish_id UUID NOT NULL,
	body BYTEA NOT NULL,
	salt BYTEA NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT wish_terms_pkey PRIMARY KEY (wish_id),
	CONSTRAINT wish_terms_salt_length_check CHECK (octet_length(salt) = 16),
	CONSTRAINT wish_terms_wish_id_fkey FOREIGN KEY(wish_id) REFERENCES wishes (id)
);

CREATE TABLE duties (
	id UUID NOT NULL,
	tenancy_id UUID NOT NULL,
	holder_id UUID NOT NULL,
	kind VARCHAR NOT NULL,
	requirement VARCHAR NOT NULL,
	exempt_code VARCHAR,
	rule_id VARCHAR NOT NULL,
	rule_version VARCHAR NOT NULL,
	due_at TIMESTAMP WITH TIME ZONE NOT NULL,
	provisional BOOLEAN NOT NULL,
	state VARCHAR NOT NULL,
	fulfilled_at TIMESTAMP WITH TIME ZONE,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT duties_pkey PRIMARY KEY (id),
	CONSTRAINT duties_kind_check CHECK (kind IN ('arrival', 'departure')),
	CONSTRAINT duties_requirement_check CHECK (requirement IN ('required', 'exempt')),
	CONSTRAINT duties_state_check CHECK (state IN ('open', 'filed', 'fulfilled')),
	CONSTRAINT duties_exempt_check CHECK ((requirement = 'exempt') = (exempt_code IS NOT NULL)),
	CONSTRAINT duties_fulfilled_check CHECK ((state = 'fulfilled') = (fulfilled_at IS NOT NULL)),
	CONSTRAINT duties_tenancy_id_holder_id_kind_key UNIQUE (tenancy_id, holder_id, kind),
	CONSTRAINT duties_tenancy_id_fkey FOREIGN KEY(tenancy_id) REFERENCES tenancies (id),
	CONSTRAINT duties_holder_id_fkey FOREIGN KEY(holder_id) REFERENCES holders (id)
);

CREATE INDEX duties_holder_id_idx ON duties (holder_id);

CREATE TABLE entries (
	id UUID NOT NULL,
	lock_id UUID NOT NULL,
	door_id UUID NOT NULL,
	tenancy_id UUID NOT NULL,
	kind VARCHAR NOT NULL,
	class VARCHAR NOT NULL,
	holder_id UUID,
	given_by UUID NOT NULL,
	wish_id UUID NOT NULL,
	reason VARCHAR,
	lower TIMESTAMP WITH TIME ZONE NOT NULL,
	upper TIMESTAMP WITH TIME ZONE NOT NULL,
	ended_at TIMESTAMP WITH TIME ZONE,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT entries_pkey PRIMARY KEY (id),
	CONSTRAINT entries_kind_check CHECK (kind IN ('consent', 'emergency')),
	CONSTRAINT entries_class_check CHECK (class IN ('owner', 'staff', 'both')),
	CONSTRAINT entries_window_check CHECK (lower < upper),
	CONSTRAINT entries_reason_check CHECK ((kind = 'emergency') = (reason IS NOT NULL)),
	CONSTRAINT entries_lock_id_fkey FOREIGN KEY(lock_id) REFERENCES locks (id),
	CONSTRAINT entries_door_id_fkey FOREIGN KEY(door_id) REFERENCES doors (id),
	CONSTRAINT entries_tenancy_id_fkey FOREIGN KEY(tenancy_id) REFERENCES tenancies (id),
	CONSTRAINT entries_holder_id_fkey FOREIGN KEY(holder_id) REFERENCES holders (id),
	CONSTRAINT entries_given_by_fkey FOREIGN KEY(given_by) REFERENCES holders (id),
	CONSTRAINT entries_wish_id_key UNIQUE (wish_id),
	CONSTRAINT entries_wish_id_fkey FOREIGN KEY(wish_id) REFERENCES wishes (id)
);

CREATE INDEX entries_open_idx ON entries (lock_id, upper) WHERE ended_at IS NULL;

CREATE INDEX entries_tenancy_id_idx ON entries (tenancy_id);

CREATE TABLE findings (
	id UUID NOT NULL,
	lock_id UUID NOT NULL,
	kind VARCHAR NOT NULL,
	mark VARCHAR NOT NULL,
	detail JSONB NOT NULL,
	found_at TIMESTAMP WITH TIME ZONE NOT NULL,
	seen_again_at TIMESTAMP WITH TIME ZONE NOT NULL,
	cleared_at TIMESTAMP WITH TIME ZONE,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT findings_pkey PRIMARY KEY (id),
	CONSTRAINT findings_kind_check CHECK (kind IN ('unknown_credential', 'missing_credential', 'altered_credential', 'epoch', 'version', 'activation', 'card_taken')),
	CONSTRAINT findings_lock_id_fkey FOREIGN KEY(lock_id) REFERENCES locks (id)
);

CREATE UNIQUE INDEX findings_open_key ON findings (lock_id, kind, mark) WHERE cleared_at IS NULL;

CREATE TABLE gateway_credentials (
	id UUID NOT NULL,
	gateway_id UUID NOT NULL,
	lock_id UUID NOT NULL,
	not_before TIMESTAMP WITH TIME ZONE NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	issued_at TIMESTAMP WITH TIME ZONE NOT NULL,
	raw BYTEA NOT NULL,
	door BYTEA NOT NULL,
	revoked_at TIMESTAMP WITH TIME ZONE,
	revoked_in INTEGER,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT gateway_credentials_pkey PRIMARY KEY (id),
	CONSTRAINT gateway_credentials_window_check CHECK (not_before < expires_at),
	CONSTRAINT gateway_credentials_gateway_id_fkey FOREIGN KEY(gateway_id) REFERENCES gateways (id),
	CONSTRAINT gateway_credentials_lock_id_fkey FOREIGN KEY(lock_id) REFERENCES locks (id)
);

CREATE INDEX gateway_credentials_gateway_id_idx ON gateway_credentials (gateway_id);

CREATE INDEX gateway_credentials_lock_id_idx ON gateway_credentials (lock_id);

CREATE TABLE gateway_sights (
	gateway_id UUID NOT NULL,
	lock_id UUID NOT NULL,
	rssi INTEGER NOT NULL,
	seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT gateway_sights_pkey PRIMARY KEY (gateway_id, lock_id),
	CONSTRAINT gateway_sights_rssi_check CHECK (rssi BETWEEN -127 AND 20),
	CONSTRAINT gateway_sights_gateway_id_fkey FOREIGN KEY(gateway_id) REFERENCES gateways (id),
	CONSTRAINT gateway_sights_lock_id_fkey FOREIGN KEY(lock_id) REFERENCES locks (id)
);

CREATE INDEX gateway_sights_lock_id_idx ON gateway_sights (lock_id);

CREATE TABLE grants (
	id UUID NOT NULL,
	holder_id UUID NOT NULL,
	door_id UUID NOT NULL,
	class VARCHAR NOT NULL,
	capabilities INTEGER NOT NULL,
	lower TIMESTAMP WITH TIME ZONE NOT NULL,
	upper TIMESTAMP WITH TIME ZONE,
	schedule JSONB,
	state VARCHAR NOT NULL,
	tenancy_id UUID,
	epoch INTEGER,
	revoked_at TIMESTAMP WITH TIME ZONE,
	wish_id UUID,
	parent_id UUID,
	bundle_id UUID,
	uses INTEGER,
	guest_key BYTEA,
	frozen_at TIMESTAMP WITH TIME ZONE,
	frozen_by UUID,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT grants_pkey PRIMARY KEY (id),
	CONSTRAINT grants_class_check CHECK (class IN ('owner', 'staff', 'tenant', 'guest')),
	CONSTRAINT grants_state_check CHECK (state IN ('active', 'frozen', 'revoked')),
	CONSTRAINT grants_window_check CHECK (upper IS NULL OR lower < upper),
	CONSTRAINT grants_revoked_check CHECK ((state = 'revoked') = (revoked_at IS NOT NULL)),
	CONSTRAINT grants_tenant_check CHECK (class <> 'tenant' OR (tenancy_id IS NOT NULL AND upper IS NOT NULL)),
	CONSTRAINT grants_capabilities_check CHECK (capabilities > 0),
	CONSTRAINT grants_uses_check CHECK (uses = 1),
	CONSTRAINT grants_frozen_check CHECK ((state = 'frozen') = (frozen_at IS NOT NULL AND frozen_by IS NOT NULL)),
	CONSTRAINT grants_guest_check CHECK (class <> 'guest' OR (parent_id IS NOT NULL AND wish_id IS NOT NULL)),
	CONSTRAINT grants_named_check CHECK (wish_id IS NULL OR octet_length(guest_key) = 32),
	CONSTRAINT grants_wish_id_door_id_key UNIQUE (wish_id, door_id),
	CONSTRAINT grants_holder_id_fkey FOREIGN KEY(holder_id) REFERENCES holders (id),
	CONSTRAINT grants_door_id_fkey FOREIGN KEY(door_id) REFERENCES doors (id),
	CONSTRAINT grants_tenancy_id_fkey FOREIGN KEY(tenancy_id) REFERENCES tenancies (id),
	CONSTRAINT grants_wish_id_fkey FOREIGN KEY(wish_id) REFERENCES wishes (id),
	CONSTRAINT grants_parent_id_fkey FOREIGN KEY(parent_id) REFERENCES grants (id),
	CONSTRAINT grants_frozen_by_fkey FOREIGN KEY(frozen_by) REFERENCES holders (id)
);

CREATE INDEX grants_door_id_idx ON grants (door_id);

CREATE INDEX grants_guest_key_idx ON grants (guest_key) WHERE guest_key IS NOT NULL;

CREATE INDEX grants_holder_id_idx ON grants (holder_id);

CREATE INDEX grants_parent_id_idx ON grants (parent_id);

CREATE INDEX grants_tenancy_id_idx ON grants (tenancy_id);

CREATE TABLE journal (
	lock_id UUID NOT NULL,
	number BIGINT NOT NULL,
	what INTEGER NOT NULL,
	how INTEGER NOT NULL,
	subject BYTEA,
	denial INTEGER,
	at TIMESTAMP WITH TIME ZONE,
	uncertainty BIGINT,
	count INTEGER NOT NULL,
	prev_hash BYTEA NOT NULL,
	hash BYTEA NOT NULL,
	via VARCHAR NOT NULL,
	received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT journal_pkey PRIMARY KEY (lock_id, number),
	CONSTRAINT journal_via_check CHECK (via IN ('mqtt', 'phone', 'gateway')),
	CONSTRAINT journal_number_check CHECK (number >= 0),
	CONSTRAINT journal_lock_id_fkey FOREIGN KEY(lock_id) REFERENCES locks (id)
);

CREATE TABLE lock_documents (
	lock_id UUID NOT NULL,
	kind VARCHAR NOT NULL,
	number BIGINT NOT NULL,
	raw BYTEA NOT NULL,
	refused INTEGER DEFAULT '0' NOT NULL,
	denial VARCHAR,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT lock_documents_pkey PRIMARY KEY (lock_id, kind, number),
	CONSTRAINT lock_documents_kind_check CHECK (kind IN ('revocation', 'state', 'keys', 'release')),
	CONSTRAINT lock_documents_number_check CHECK (number >= 0),
	CONSTRAINT lock_documents_lock_id_fkey FOREIGN KEY(lock_id) REFERENCES locks (id)
);

CREATE TABLE lock_status (
	lock_id UUID NOT NULL,
	connected BOOLEAN NOT NULL,
	last_seen_at TIMESTAMP WITH TIME ZONE,
	boot BIGINT,
	seq BIGINT,
	bolt VARCHAR DEFAULT 'unknown' NOT NULL,
	clock_offset INTEGER,
	clock_attested BOOLEAN,
	state_number BIGINT,
	revocation_number BIGINT,
	keys_number BIGINT,
	epoch INTEGER,
	journal_number BIGINT,
	journal_hash BYTEA,
	counter BIGINT,
	battery INTEGER,
	battery_at TIMESTAMP WITH TIME ZONE,
	battery_read_at TIMESTAMP WITH TIME ZONE,
	battery_since TIMESTAMP WITH TIME ZONE,
	door VARCHAR DEFAULT 'unknown' NOT NULL,
	tampered BOOLEAN,
	jams BIGINT,
	firmware BIGINT,
	firmware_version VARCHAR,
	firmware_refused BIGINT,
	firmware_denial VARCHAR,
	carried_by UUID,
	carried_at TIMESTAMP WITH TIME ZONE,
	occupied BOOLEAN,
	bolt_at TIMESTAMP WITH TIME ZONE,
	inventory_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT lock_status_pkey PRIMARY KEY (lock_id),
	CONSTRAINT lock_status_bolt_check CHECK (bolt IN ('locked', 'unlocked', 'unknown')),
	CONSTRAINT lock_status_door_check CHECK (door IN ('closed', 'open', 'unknown')),
	CONSTRAINT lock_status_lock_id_fkey FOREIGN KEY(lock_id) REFERENCES locks (id),
	CONSTRAINT lock_status_carried_by_fkey FOREIGN KEY(carried_by) REFERENCES gateways (id)
);

CREATE TABLE occupants (
	tenancy_id UUID NOT NULL,
	holder_id UUID NOT NULL,
	is_minor BOOLEAN NOT NULL,
	guardian_holder_id UUID,
	invite_hash BYTEA,
	invite_accepted_at TIMESTAMP WITH TIME ZONE,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT occupants_pkey PRIMARY KEY (tenancy_id, holder_id),
	CONSTRAINT occupants_guardian_check CHECK (is_minor = (guardian_holder_id IS NOT NULL)),
	CONSTRAINT occupants_tenancy_id_fkey FOREIGN KEY(tenancy_id) REFERENCES tenancies (id),
	CONSTRAINT occupants_holder_id_fkey FOREIGN KEY(holder_id) REFERENCES holders (id),
	CONSTRAINT occupants_guardian_holder_id_fkey FOREIGN KEY(guardian_holder_id) REFERENCES holders (id)
);

CREATE INDEX occupants_holder_id_idx ON occupants (holder_id);

CREATE TABLE cases (
	id UUID NOT NULL,
	duty_id UUID NOT NULL,
	holder_id UUID NOT NULL,
	phone_id UUID NOT NULL,
	session_id UUID NOT NULL,
	route VARCHAR NOT NULL,
	state VARCHAR NOT NULL,
	consent_document_at TIMESTAMP WITH TIME ZONE,
	consent_face_at TIMESTAMP WITH TIME ZONE,
	consent_face_withdrawn_at TIMESTAMP WITH TIME ZONE,
	confirmed_digest BYTEA,
	outcome VARCHAR,
	reasons JSONB,
	repeat_step VARCHAR,
	scores JSONB,
	draft BYTEA,
	sealed_key BYTEA,
	active_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	destroyed_at TIMESTAMP WITH TIME ZONE,
	destruction_receipt BYTEA,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT cases_pkey PRIMARY KEY (id),
	CONSTRAINT cases_route_check CHECK (route IN ('face', 'staff')),
	CONSTRAINT cases_state_check CHECK (state IN ('open', 'confirmed', 'approved', 'review', 'declined', 'submitted', 'closed')),
	CONSTRAINT cases_outcome_check CHECK (outcome IN ('approved', 'review', 'declined')),
	CONSTRAINT cases_destroyed_check CHECK ((destroyed_at IS NULL) OR (sealed_key IS NULL)),
	CONSTRAINT cases_duty_id_fkey FOREIGN KEY(duty_id) REFERENCES duties (id),
	CONSTRAINT cases_holder_id_fkey FOREIGN KEY(holder_id) REFERENCES holders (id),
	CONSTRAINT cases_phone_id_fkey FOREIGN KEY(phone_id) REFERENCES phones (id),
	CONSTRAINT cases_session_id_fkey FOREIGN KEY(session_id) REFERENCES sessions (id)
);

CREATE INDEX cases_duty_id_idx ON cases (duty_id);

CREATE INDEX cases_holder_id_idx ON cases (holder_id);

CREATE TABLE credentials (
	id UUID NOT NULL,
	grant_id UUID NOT NULL,
	phone_id UUID NOT NULL,
	lock_id UUID NOT NULL,
	not_before TIMESTAMP WITH TIME ZONE NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	issued_at TIMESTAMP WITH TIME ZONE NOT NULL,
	epoch INTEGER,
	capabilities INTEGER DEFAULT '0' NOT NULL,
	schedule JSONB,
	uses INTEGER,
	raw BYTEA NOT NULL,
	revoked_at TIMESTAMP WITH TIME ZONE,
	revoked_in INTEGER,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT credentials_pkey PRIMARY KEY (id),
	CONSTRAINT credentials_window_check CHECK (not_before < expires_at),
	CONSTRAINT credentials_uses_check CHECK (uses = 1),
	CONSTRAINT credentials_grant_id_fkey FOREIGN KEY(grant_id) REFERENCES grants (id),
	CONSTRAINT credentials_phone_id_fkey FOREIGN KEY(phone_id) REFERENCES phones (id),
	CONSTRAINT credentials_lock_id_fkey FOREIGN KEY(lock_id) REFERENCES locks (id)
);

CREATE INDEX credentials_grant_id_idx ON credentials (grant_id);

CREATE INDEX credentials_lock_id_idx ON credentials (lock_id);

CREATE UNIQUE INDEX credentials_one_time_key ON credentials (grant_id) WHERE uses IS NOT NULL;

CREATE INDEX credentials_phone_id_idx ON credentials (phone_id);

CREATE TABLE offline_pins (
	id UUID NOT NULL,
	lock_id UUID NOT NULL,
	holder_id UUID NOT NULL,
	grant_id UUID NOT NULL,
	wish_id UUID NOT NULL,
	epoch INTEGER NOT NULL,
	code INTEGER NOT NULL,
	start_hour BIGINT NOT NULL,
	n INTEGER NOT NULL,
	lower TIMESTAMP WITH TIME ZONE NOT NULL,
	upper TIMESTAMP WITH TIME ZONE NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT offline_pins_pkey PRIMARY KEY (id),
	CONSTRAINT offline_pins_code_check CHECK (code BETWEEN 0 AND 8),
	CONSTRAINT offline_pins_n_check CHECK (n BETWEEN 0 AND 1),
	CONSTRAINT offline_pins_window_check CHECK (lower < upper),
	CONSTRAINT offline_pins_lock_id_epoch_code_start_hour_n_key UNIQUE (lock_id, epoch, code, start_hour, n),
	CONSTRAINT offline_pins_lock_id_fkey FOREIGN KEY(lock_id) REFERENCES locks (id),
	CONSTRAINT offline_pins_holder_id_fkey FOREIGN KEY(holder_id) REFERENCES holders (id),
	CONSTRAINT offline_pins_grant_id_fkey FOREIGN KEY(grant_id) REFERENCES grants (id),
	CONSTRAINT offline_pins_wish_id_key UNIQUE (wish_id),
	CONSTRAINT offline_pins_wish_id_fkey FOREIGN KEY(wish_id) REFERENCES wishes (id)
);

CREATE INDEX offline_pins_grant_id_idx ON offline_pins (grant_id);

CREATE INDEX offline_pins_holder_id_idx ON offline_pins (holder_id);

CREATE TABLE registrations (
	id UUID NOT NULL,
	client_no VARCHAR NOT NULL,
	duty_id UUID NOT NULL,
	tenancy_id UUID NOT NULL,
	holder_id UUID NOT NULL,
	number_mask VARCHAR NOT NULL,
	number_index BYTEA NOT NULL,
	version INTEGER NOT NULL,
	state VARCHAR NOT NULL,
	return_field VARCHAR,
	return_code VARCHAR,
	receipt_no VARCHAR,
	voucher_no VARCHAR,
	submitted_at TIMESTAMP WITH TIME ZONE NOT NULL,
	receipted_at TIMESTAMP WITH TIME ZONE,
	accepted_at TIMESTAMP WITH TIME ZONE,
	departed_at TIMESTAMP WITH TIME ZONE,
	verdict_seq BIGINT DEFAULT '0' NOT NULL,
	verdict_version INTEGER,
	verdict_settled BOOLEAN DEFAULT false NOT NULL,
	poll_version INTEGER,
	poll_at TIMESTAMP WITH TIME ZONE,
	polls INTEGER DEFAULT '0' NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT registrations_pkey PRIMARY KEY (id),
	CONSTRAINT registrations_state_check CHECK (state IN ('submitted', 'receipted', 'accepted', 'accepted_late', 'returned', 'manual_review', 'departed', 'withdrawn')),
	CONSTRAINT registrations_version_check CHECK (version > 0),
	CONSTRAINT registrations_receipt_check CHECK ((receipt_no IS NULL) = (receipted_at IS NULL)),
	CONSTRAINT registrations_poll_check CHECK ((poll_at IS NULL) = (poll_version IS NULL)),
	CONSTRAINT registrations_duty_id_key UNIQUE (duty_id),
	CONSTRAINT registrations_client_no_key UNIQUE (client_no),
	CONSTRAINT registrations_duty_id_fkey FOREIGN KEY(duty_id) REFERENCES duties (id),
	CONSTRAINT registrations_tenancy_id_fkey FOREIGN KEY(tenancy_id) REFERENCES tenancies (id),
	CONSTRAINT registrations_holder_id_fkey FOREIGN KEY(holder_id) REFERENCES holders (id)
);

CREATE INDEX registrations_holder_id_idx ON registrations (holder_id);

CREATE INDEX registrations_number_index_idx ON registrations (number_index);

CREATE INDEX registrations_poll_idx ON registrations (poll_at) WHERE poll_at IS NOT NULL;

CREATE INDEX registrations_tenancy_id_idx ON registrations (tenancy_id);

CREATE TABLE slots (
	id UUID NOT NULL,
	lock_id UUID NOT NULL,
	number INTEGER NOT NULL,
	kind VARCHAR NOT NULL,
	purpose VARCHAR NOT NULL,
	class VARCHAR NOT NULL,
	holder_id UUID,
	grant_id UUID,
	given_by UUID,
	wish_id UUID,
	label VARCHAR DEFAULT '' NOT NULL,
	epoch INTEGER,
	lower TIMESTAMP WITH TIME ZONE NOT NULL,
	upper TIMESTAMP WITH TIME ZONE NOT NULL,
	state VARCHAR NOT NULL,
	why VARCHAR,
	wanted_version BIGINT,
	asked_at TIMESTAMP WITH TIME ZONE NOT NULL,
	settled_at TIMESTAMP WITH TIME ZONE,
	verifier BYTEA NOT NULL,
	digits_sealed BYTEA,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT slots_pkey PRIMARY KEY (id),
	CONSTRAINT slots_kind_check CHECK (kind IN ('pin', 'card', 'finger')),
	CONSTRAINT slots_purpose_check CHECK (purpose IN ('own', 'guest', 'backup')),
	CONSTRAINT slots_class_check CHECK (class IN ('owner', 'staff', 'tenant', 'guest')),
	CONSTRAINT slots_state_check CHECK (state IN ('unset', 'setting', 'set', 'removing')),
	CONSTRAINT slots_why_check CHECK (why IN ('wish', 'replaced', 'frozen', 'ended', 'expired')),
	CONSTRAINT slots_number_check CHECK (number BETWEEN 1 AND 255),
	CONSTRAINT slots_window_check CHECK (lower < upper),
	CONSTRAINT slots_verifier_length_check CHECK (octet_length(verifier) = 16),
	CONSTRAINT slots_digits_check CHECK (digits_sealed IS NULL OR purpose = 'backup'),
	CONSTRAINT slots_held_check CHECK (purpose = 'backup' OR (holder_id IS NOT NULL AND grant_id IS NOT NULL)),
	CONSTRAINT slots_wanted_check CHECK (state NOT IN ('setting', 'removing') OR wanted_version IS NOT NULL),
	CONSTRAINT slots_going_check CHECK ((state IN ('removing', 'unset')) = (why IS NOT NULL)),
	CONSTRAINT slots_lock_id_fkey FOREIGN KEY(lock_id) REFERENCES locks (id),
	CONSTRAINT slots_holder_id_fkey FOREIGN KEY(holder_id) REFERENCES holders (id),
	CONSTRAINT slots_grant_id_fkey FOREIGN KEY(grant_id) REFERENCES grants (id),
	CONSTRAINT slots_given_by_fkey FOREIGN KEY(given_by) REFERENCES holders (id),
	CONSTRAINT slots_wish_id_fkey FOREIGN KEY(wish_id) REFERENCES wishes (id)
);

CREATE INDEX slots_grant_id_idx ON slots (grant_id);

CREATE INDEX slots_holder_id_idx ON slots (holder_id);

CREATE INDEX slots_lock_id_idx ON slots (lock_id);

CREATE UNIQUE INDEX slots_one_a_place_key ON slots (lock_id, kind, number) WHERE state <> 'unset';

CREATE TABLE captures (
	id UUID NOT NULL,
	lock_id UUID NOT NULL,
	digest BYTEA NOT NULL,
	report BYTEA NOT NULL,
	state VARCHAR NOT NULL,
	code VARCHAR,
	slot_id UUID,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT captures_pkey PRIMARY KEY (id),
	CONSTRAINT captures_state_check CHECK (state IN ('new', 'taken', 'refused')),
	CONSTRAINT captures_code_check CHECK ((state = 'refused') = (code IS NOT NULL)),
	CONSTRAINT captures_slot_check CHECK ((state = 'taken') = (slot_id IS NOT NULL)),
	CONSTRAINT captures_digest_length_check CHECK (octet_length(digest) = 32),
	CONSTRAINT captures_lock_id_fkey FOREIGN KEY(lock_id) REFERENCES locks (id),
	CONSTRAINT captures_digest_key UNIQUE (digest),
	CONSTRAINT captures_slot_id_fkey FOREIGN KEY(slot_id) REFERENCES slots (id)
);

CREATE INDEX captures_new_idx ON captures (lock_id) WHERE state = 'new';

CREATE TABLE case_parts (
	id UUID NOT NULL,
	case_id UUID NOT NULL,
	kind VARCHAR NOT NULL,
	sealed BYTEA,
	digest BYTEA NOT NULL,
	state VARCHAR NOT NULL,
	code VARCHAR,
	advice VARCHAR,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT case_parts_pkey PRIMARY KEY (id),
	CONSTRAINT case_parts_kind_check CHECK (kind IN ('front', 'back', 'selfie', 'confirmation', 'declaration', 'staff_check')),
	CONSTRAINT case_parts_state_check CHECK (state IN ('received', 'read', 'refused')),
	CONSTRAINT case_parts_case_id_fkey FOREIGN KEY(case_id) REFERENCES cases (id)
);

CREATE INDEX case_parts_case_id_idx ON case_parts (case_id);

CREATE TABLE commands (
	id UUID NOT NULL,
	lock_id UUID NOT NULL,
	holder_id UUID NOT NULL,
	grant_id UUID NOT NULL,
	credential_id UUID,
	wish_id UUID NOT NULL,
	kind VARCHAR NOT NULL,
	counter BIGINT NOT NULL,
	state VARCHAR NOT NULL,
	code VARCHAR,
	not_after TIMESTAMP WITH TIME ZONE NOT NULL,
	sent_at TIMESTAMP WITH TIME ZONE,
	settled_at TIMESTAMP WITH TIME ZONE,
	evidence BYTEA,
	via VARCHAR,
	fault VARCHAR,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT commands_pkey PRIMARY KEY (id),
	CONSTRAINT commands_kind_check CHECK (kind IN ('unlock', 'lock', 'hold_open')),
	CONSTRAINT commands_state_check CHECK (state IN ('queued', 'sent', 'done', 'refused', 'expired', 'unknown')),
	CONSTRAINT commands_evidence_check CHECK (state <> 'done' OR evidence IS NOT NULL),
	CONSTRAINT commands_code_check CHECK (state <> 'refused' OR code IS NOT NULL),
	CONSTRAINT commands_settled_check CHECK ((state IN ('done','refused','expired','unknown')) = (settled_at IS NOT NULL)),
	CONSTRAINT commands_lock_id_counter_key UNIQUE (lock_id, counter),
	CONSTRAINT commands_lock_id_fkey FOREIGN KEY(lock_id) REFERENCES locks (id),
	CONSTRAINT commands_holder_id_fkey FOREIGN KEY(holder_id) REFERENCES holders (id),
	CONSTRAINT commands_grant_id_fkey FOREIGN KEY(grant_id) REFERENCES grants (id),
	CONSTRAINT commands_credential_id_fkey FOREIGN KEY(credential_id) REFERENCES credentials (id),
	CONSTRAINT commands_wish_id_key UNIQUE (wish_id),
	CONSTRAINT commands_wish_id_fkey FOREIGN KEY(wish_id) REFERENCES wishes (id)
);

CREATE INDEX commands_open_idx ON commands (lock_id, counter) WHERE state IN ('queued','sent');

CREATE TABLE ledger (
	id UUID NOT NULL,
	holder_id UUID NOT NULL,
	at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	to_whom VARCHAR NOT NULL,
	ground VARCHAR NOT NULL,
	registration_id UUID,
	field_names TEXT[] NOT NULL,
	digests JSONB NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT ledger_pkey PRIMARY KEY (id),
	CONSTRAINT ledger_holder_id_fkey FOREIGN KEY(holder_id) REFERENCES holders (id),
	CONSTRAINT ledger_registration_id_fkey FOREIGN KEY(registration_id) REFERENCES registrations (id)
);

CREATE INDEX ledger_holder_id_idx ON ledger (holder_id);

CREATE TABLE outbox (
	id UUID NOT NULL,
	registration_id UUID NOT NULL,
	client_no VARCHAR NOT NULL,
	seq INTEGER NOT NULL,
	kind VARCHAR NOT NULL,
	sealed BYTEA NOT NULL,
	body_digest BYTEA NOT NULL,
	state VARCHAR DEFAULT 'ready' NOT NULL,
	fencing BIGINT DEFAULT '0' NOT NULL,
	leased_by VARCHAR,
	leased_until TIMESTAMP WITH TIME ZONE,
	attempts INTEGER DEFAULT '0' NOT NULL,
	next_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	ask_first BOOLEAN DEFAULT false NOT NULL,
	park_reason VARCHAR,
	settled_at TIMESTAMP WITH TIME ZONE,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT outbox_pkey PRIMARY KEY (id),
	CONSTRAINT outbox_kind_check CHECK (kind IN ('register', 'change', 'departure', 'withdrawal')),
	CONSTRAINT outbox_state_check CHECK (state IN ('ready', 'settled', 'parked')),
	CONSTRAINT outbox_lease_check CHECK ((leased_by IS NULL) = (leased_until IS NULL)),
	CONSTRAINT outbox_park_check CHECK ((state = 'parked') = (park_reason IS NOT NULL)),
	CONSTRAINT outbox_client_no_seq_key UNIQUE (client_no, seq),
	CONSTRAINT outbox_registration_id_fkey FOREIGN KEY(registration_id) REFERENCES registrations (id)
);

CREATE INDEX outbox_due_idx ON outbox (next_at) WHERE state = 'ready';

CREATE INDEX outbox_line_idx ON outbox (client_no, seq) WHERE state <> 'settled';

CREATE INDEX outbox_registration_id_idx ON outbox (registration_id);

CREATE TABLE verdicts (
	id UUID NOT NULL,
	case_id UUID NOT NULL,
	holder_id UUID NOT NULL,
	phone_id UUID NOT NULL,
	outcome VARCHAR NOT NULL,
	route VARCHAR NOT NULL,
	reasons JSONB NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT verdicts_pkey PRIMARY KEY (id),
	CONSTRAINT verdicts_outcome_check CHECK (outcome IN ('approved', 'review', 'declined')),
	CONSTRAINT verdicts_route_check CHECK (route IN ('face', 'staff')),
	CONSTRAINT verdicts_case_id_fkey FOREIGN KEY(case_id) REFERENCES cases (id),
	CONSTRAINT verdicts_holder_id_fkey FOREIGN KEY(holder_id) REFERENCES holders (id),
	CONSTRAINT verdicts_phone_id_fkey FOREIGN KEY(phone_id) REFERENCES phones (id)
);

CREATE INDEX verdicts_case_id_idx ON verdicts (case_id);

CREATE INDEX verdicts_holder_id_idx ON verdicts (holder_id);

CREATE INDEX verdicts_phone_id_idx ON verdicts (phone_id);

CREATE TABLE attempts (
	id UUID NOT NULL,
	outbox_id UUID NOT NULL,
	fencing BIGINT NOT NULL,
	n INTEGER NOT NULL,
	action VARCHAR NOT NULL,
	content_digest VARCHAR NOT NULL,
	field_names TEXT[] NOT NULL,
	started_at TIMESTAMP WITH TIME ZONE NOT NULL,
	finished_at TIMESTAMP WITH TIME ZONE,
	outcome VARCHAR,
	detail VARCHAR,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT attempts_pkey PRIMARY KEY (id),
	CONSTRAINT attempts_action_check CHECK (action IN ('deliver', 'ask')),
	CONSTRAINT attempts_finished_check CHECK ((finished_at IS NULL) = (outcome IS NULL)),
	CONSTRAINT attempts_outbox_id_n_key UNIQUE (outbox_id, n),
	CONSTRAINT attempts_outbox_id_fkey FOREIGN KEY(outbox_id) REFERENCES outbox (id)
);

CREATE TABLE receipts (
	id UUID NOT NULL,
	registration_id UUID NOT NULL,
	outbox_id UUID NOT NULL,
	version INTEGER NOT NULL,
	kind VARCHAR NOT NULL,
	no VARCHAR NOT NULL,
	raw BYTEA NOT NULL,
	key_id VARCHAR NOT NULL,
	verified_at TIMESTAMP WITH TIME ZONE NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT receipts_pkey PRIMARY KEY (id),
	CONSTRAINT receipts_kind_check CHECK (kind IN ('receipt', 'voucher')),
	CONSTRAINT receipts_kind_no_key UNIQUE (kind, no),
	CONSTRAINT receipts_registration_id_fkey FOREIGN KEY(registration_id) REFERENCES registrations (id),
	CONSTRAINT receipts_outbox_id_fkey FOREIGN KEY(outbox_id) REFERENCES outbox (id)
);

CREATE INDEX receipts_outbox_id_idx ON receipts (outbox_id);

CREATE INDEX receipts_registration_id_idx ON receipts (registration_id);

-- Why: everything that a host knows, so that any process may die at any instruction and its successor goes on.
-- Lock: none that matters; every object is new.
-- Running hosts: there are none yet.
--
-- Every object belongs to unrip_owner, who cannot log in. A service's role has no right on any table of this schema: it
-- calls functions (SECURITY DEFINER, fixed search_path) that check whose service it is, and reads its own rows through
-- the views of 0007. "k" below means (service, lane). Texts compare by bytes (COLLATE "C"): the order is the same on
-- every machine and an index lookup is a memcmp. Times that a turn knows are bigint ms; the server's own are timestamptz.

ALTER DEFAULT PRIVILEGES IN SCHEMA unrip REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
GRANT USAGE ON SCHEMA unrip TO unrip_service, unrip_operator, unrip_reader;

-- One row: how many lanes keyed services have, and which storage this is. A system identifier or a timeline other than
-- the server's means that storage went back (a point-in-time restore is a new timeline).
CREATE TABLE fleet (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  lanes int NOT NULL CHECK (lanes > 0),
  system_id text NOT NULL,
  timeline text NOT NULL
);

CREATE TABLE service (
  service text COLLATE "C" PRIMARY KEY,
  role name NOT NULL UNIQUE
);

CREATE TABLE process (
  process uuid PRIMARY KEY,
  service text COLLATE "C" NOT NULL REFERENCES service,
  release text NOT NULL,
  url text NOT NULL,
  state text NOT NULL CHECK (state IN ('live', 'draining')),
  lease_ms int NOT NULL,
  expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX process_service ON process (service);

CREATE TABLE lane (
  service text COLLATE "C" NOT NULL REFERENCES service,
  lane int NOT NULL CHECK (lane >= 0),
  owner uuid,
  epoch bigint NOT NULL DEFAULT 0,
  incarnation uuid NOT NULL DEFAULT uuidv7(),
  batch bigint NOT NULL DEFAULT 0,
  digest bytea,                                     -- of the last batch, by this epoch; null after a takeover
  turn bigint NOT NULL DEFAULT 0,
  now_ms bigint NOT NULL DEFAULT 0,
  published bigint NOT NULL DEFAULT 0,
  release text,
  halted jsonb,
  PRIMARY KEY (service, lane)
) WITH (fillfactor = 50);

CREATE TABLE input (
  service text COLLATE "C" NOT NULL,
  lane int NOT NULL,
  topic text COLLATE "C" NOT NULL,
  entered bigint NOT NULL,
  entered_at_ms bigint NOT NULL,
  next bigint NOT NULL,
  PRIMARY KEY (service, lane, topic)
) WITH (fillfactor = 50);

CREATE TABLE mark (
  service text COLLATE "C" NOT NULL,
  lane int NOT NULL,
  topic text COLLATE "C" NOT NULL,
  source text COLLATE "C" NOT NULL,
  incarnation uuid NOT NULL,
  position bigint NOT NULL,
  at_offset bigint NOT NULL,
  jump boolean NOT NULL,
  PRIMARY KEY (service, lane, topic, source, incarnation)
) WITH (fillfactor = 50);

CREATE TABLE sent (
  service text COLLATE "C" NOT NULL,
  lane int NOT NULL,
  topic text COLLATE "C" NOT NULL,
  partition int NOT NULL,
  incarnation uuid NOT NULL,
  position bigint NOT NULL,
  PRIMARY KEY (service, lane, topic, partition)
) WITH (fillfactor = 50);

CREATE TABLE actor (
  service text COLLATE "C" NOT NULL,
  lane int NOT NULL,
  kind text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  sequence bigint NOT NULL,
  status "char" NOT NULL,                           -- a active, d done
  body bytea NOT NULL,
  ended_at_ms bigint,
  updated_at_ms bigint NOT NULL,
  PRIMARY KEY (service, lane, kind, key)
) WITH (fillfactor = 70);
-- Only ended actors: an update of a living one stays within its page.
CREATE INDEX actor_ended ON actor (service, lane, ended_at_ms) WHERE ended_at_ms IS NOT NULL;

-- One row a turn. Outcomes as in the runtime's ports: t taken, i no transition, p parked, q queued, d dropped.
CREATE TABLE journal (
  day date NOT NULL,
  service text COLLATE "C" NOT NULL,
  lane int NOT NULL,
  turn bigint NOT NULL,
  batch bigint NOT NULL,
  kind text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  sequence bigint NOT NULL,
  now_ms bigint NOT NULL,
  event bytea NOT NULL,
  base bytea,                                       -- the snapshot it started from, on an actor's first turn of a day
  outcome "char" NOT NULL,
  output_hash bytea NOT NULL,
  PRIMARY KEY (service, lane, turn, day)
) PARTITION BY RANGE (day);

-- One row a batch that had turns or something to publish; a journal row finds here what its batch shared.
CREATE TABLE outbox (
  day date NOT NULL,
  service text COLLATE "C" NOT NULL,
  lane int NOT NULL,
  batch bigint NOT NULL,
  incarnation uuid NOT NULL,
  code_hash bytea NOT NULL,
  attached bytea,
  blob bytea,                                       -- null: nothing to publish
  PRIMARY KEY (service, lane, batch, day)
) PARTITION BY RANGE (day);

CREATE TABLE timer (
  service text COLLATE "C" NOT NULL,
  lane int NOT NULL,
  kind text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  timer text COLLATE "C" NOT NULL,
  token bigint NOT NULL,
  due_ms bigint NOT NULL,
  event bytea NOT NULL,
  PRIMARY KEY (service, lane, kind, key, timer)
);
CREATE INDEX timer_due ON timer (service, lane, due_ms, kind, key, timer);

-- mode: i idempotent, a ask first. state: p pending, u uncertain, d done, f failed, v void, n not_sent.
CREATE TABLE effect (
  service text COLLATE "C" NOT NULL,
  lane int NOT NULL,
  effect text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  mode "char" NOT NULL,
  state "char" NOT NULL,
  token bigint NOT NULL,
  not_after_ms bigint,
  ask_at_ms bigint,
  asked int NOT NULL,
  body bytea NOT NULL,
  updated_at_ms bigint NOT NULL,
  PRIMARY KEY (service, lane, effect)
) WITH (fillfactor = 70);
CREATE INDEX effect_open ON effect (service, lane) WHERE state IN ('p', 'u');

CREATE TABLE operator_order (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  service text COLLATE "C" NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz,
  "by" text NOT NULL,
  reason text NOT NULL,
  body jsonb NOT NULL
);

-- An order fans out to one row a lane. Ids do not commit in order: open rows are read, never "ids above my last".
CREATE TABLE order_lane (
  service text COLLATE "C" NOT NULL,
  lane int NOT NULL,
  id bigint NOT NULL REFERENCES operator_order,
  done_turn bigint,
  answer jsonb,
  PRIMARY KEY (service, lane, id)
);
CREATE INDEX order_lane_open ON order_lane (service, lane) WHERE done_turn IS NULL;
CREATE INDEX order_lane_id ON order_lane (id);

CREATE TABLE parked (
  day date NOT NULL,
  service text COLLATE "C" NOT NULL,
  lane int NOT NULL,
  turn bigint NOT NULL,
  kind text COLLATE "C" NOT NULL,                   -- '' for a record that no actor was found for
  key text COLLATE "C" NOT NULL,
  cause text NOT NULL,
  origin text NOT NULL,
  event bytea NOT NULL,
  done text,                                        -- how a person resolved it
  PRIMARY KEY (service, lane, turn, day)
) PARTITION BY RANGE (day);
CREATE INDEX parked_open ON parked (service, lane, kind, key) WHERE done IS NULL;

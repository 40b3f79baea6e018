-- Why: every core topic as an append-only table, and one row a quote with its whole causal chain.
-- Lock: none that matters; every object is new.
-- Running hosts: keep working; the history writer needs this one.
--
-- The tables stand in `public`, where people and programs look for them. `raw` is the envelope's text as it came; `payload`
-- is its payload; the ids and filters are generated from it. A record is known by its event_id within its day: what is
-- replayed is there once. The writer's role has INSERT and SELECT, nothing else.

ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM PUBLIC;

CREATE TABLE public.history_columns (
  day date NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  event_type text NOT NULL,
  venue text NOT NULL,
  source text,
  schema_version int NOT NULL,
  observed_at timestamptz,
  ingested_at timestamptz NOT NULL,
  correlation_id text COLLATE "C",
  causation_id text COLLATE "C",
  payload jsonb NOT NULL,
  raw json NOT NULL,
  topic text COLLATE "C" NOT NULL,
  partition int NOT NULL,
  "offset" bigint NOT NULL,
  source_lane text COLLATE "C" NOT NULL,
  incarnation uuid NOT NULL,
  position bigint NOT NULL
);

CREATE TABLE public.raw_near_intents_quotes (
  LIKE public.history_columns,
  quote_id text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'quote_id') STORED,
  PRIMARY KEY (event_id, day)
) PARTITION BY RANGE (day);
CREATE INDEX raw_near_intents_quotes_quote_id ON public.raw_near_intents_quotes (quote_id);

CREATE TABLE public.swap_demand_events (
  LIKE public.history_columns,
  quote_id text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'quote_id') STORED,
  pair text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'pair') STORED,
  direction text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'direction') STORED,
  PRIMARY KEY (event_id, day)
) PARTITION BY RANGE (day);
CREATE INDEX swap_demand_events_quote_id ON public.swap_demand_events (quote_id);

CREATE TABLE public.market_price_events (
  LIKE public.history_columns,
  pair text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'pair') STORED,
  PRIMARY KEY (event_id, day)
) PARTITION BY RANGE (day);

CREATE TABLE public.intent_inventory_snapshots (
  LIKE public.history_columns,
  inventory_id text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'inventory_id') STORED,
  pair text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'pair') STORED,
  PRIMARY KEY (event_id, day)
) PARTITION BY RANGE (day);
CREATE INDEX intent_inventory_snapshots_inventory_id ON public.intent_inventory_snapshots (inventory_id);

CREATE TABLE public.liquidity_actions (
  LIKE public.history_columns,
  liquidity_action_id text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'liquidity_action_id') STORED,
  handle_id text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'handle_id') STORED,
  pair text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'pair') STORED,
  status text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'status') STORED,
  PRIMARY KEY (event_id, day)
) PARTITION BY RANGE (day);
CREATE INDEX liquidity_actions_handle_id ON public.liquidity_actions (handle_id);

CREATE TABLE public.trade_decisions (
  LIKE public.history_columns,
  decision_id text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'decision_id') STORED,
  quote_id text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'quote_id') STORED,
  command_id text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'command_id') STORED,
  inventory_id text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'inventory_id') STORED,
  decision text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'decision') STORED,
  decision_reason text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'decision_reason') STORED,
  pair text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'pair') STORED,
  direction text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'direction') STORED,
  PRIMARY KEY (event_id, day)
) PARTITION BY RANGE (day);
CREATE INDEX trade_decisions_quote_id ON public.trade_decisions (quote_id);

CREATE TABLE public.execute_trade_commands (
  LIKE public.history_columns,
  command_id text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'command_id') STORED,
  idempotency_key text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'idempotency_key') STORED,
  execution_key text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'execution_key') STORED,
  decision_id text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'decision_id') STORED,
  quote_id text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'quote_id') STORED,
  pair text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'pair') STORED,
  direction text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'direction') STORED,
  PRIMARY KEY (event_id, day)
) PARTITION BY RANGE (day);
CREATE INDEX execute_trade_commands_quote_id ON public.execute_trade_commands (quote_id);
CREATE INDEX execute_trade_commands_command_id ON public.execute_trade_commands (command_id);

CREATE TABLE public.trade_execution_results (
  LIKE public.history_columns,
  command_id text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'command_id') STORED,
  idempotency_key text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'idempotency_key') STORED,
  execution_key text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'execution_key') STORED,
  quote_id text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'quote_id') STORED,
  status text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'status') STORED,
  result_code text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'result_code') STORED,
  pair text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'pair') STORED,
  direction text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'direction') STORED,
  PRIMARY KEY (event_id, day)
) PARTITION BY RANGE (day);
CREATE INDEX trade_execution_results_quote_id ON public.trade_execution_results (quote_id);
CREATE INDEX trade_execution_results_command_id ON public.trade_execution_results (command_id);

CREATE TABLE public.funding_observations (
  LIKE public.history_columns,
  handle_id text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'handle_id') STORED,
  pair text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'pair') STORED,
  PRIMARY KEY (event_id, day)
) PARTITION BY RANGE (day);
CREATE INDEX funding_observations_handle_id ON public.funding_observations (handle_id);

CREATE TABLE public.alert_events (
  LIKE public.history_columns,
  alert_id text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'alert_id') STORED,
  pair text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'pair') STORED,
  PRIMARY KEY (event_id, day)
) PARTITION BY RANGE (day);
CREATE INDEX alert_events_alert_id ON public.alert_events (alert_id);

CREATE TABLE public.audit_states (
  LIKE public.history_columns,
  pair text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'pair') STORED,
  PRIMARY KEY (event_id, day)
) PARTITION BY RANGE (day);

CREATE TABLE public.operator_commands (
  LIKE public.history_columns,
  order_id text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'order_id') STORED,
  service text COLLATE "C" GENERATED ALWAYS AS (payload ->> 'service') STORED,
  PRIMARY KEY (event_id, day)
) PARTITION BY RANGE (day);
CREATE INDEX operator_commands_order_id ON public.operator_commands (order_id);

DROP TABLE public.history_columns;

GRANT SELECT, INSERT ON public.raw_near_intents_quotes, public.swap_demand_events, public.market_price_events, public.intent_inventory_snapshots, public.liquidity_actions, public.trade_decisions, public.execute_trade_commands, public.trade_execution_results, public.funding_observations, public.alert_events, public.audit_states, public.operator_commands TO unrip_history_writer;
GRANT SELECT ON public.raw_near_intents_quotes, public.swap_demand_events, public.market_price_events, public.intent_inventory_snapshots, public.liquidity_actions, public.trade_decisions, public.execute_trade_commands, public.trade_execution_results, public.funding_observations, public.alert_events, public.audit_states, public.operator_commands TO unrip_operator, unrip_reader;

CREATE FUNCTION history_table(p_topic text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE p_topic
    WHEN 'raw.near_intents.quote' THEN 'raw_near_intents_quotes'
    WHEN 'norm.swap_demand' THEN 'swap_demand_events'
    WHEN 'ref.market_price' THEN 'market_price_events'
    WHEN 'state.intent_inventory' THEN 'intent_inventory_snapshots'
    WHEN 'ops.liquidity_action' THEN 'liquidity_actions'
    WHEN 'decision.trade_decision' THEN 'trade_decisions'
    WHEN 'cmd.execute_trade' THEN 'execute_trade_commands'
    WHEN 'exec.trade_result' THEN 'trade_execution_results'
    WHEN 'ops.funding_observation' THEN 'funding_observations'
    WHEN 'ops.alert_event' THEN 'alert_events'
    WHEN 'ops.audit_state' THEN 'audit_states'
    WHEN 'ctl.operator_command' THEN 'operator_commands'
  END
$$;

-- The rows of one topic, envelopes taken apart.
CREATE FUNCTION history_rows(
  p_topic text, h_topic text[], h_partition int[], h_offset bigint[], h_source_lane text[], h_incarnation uuid[], h_position bigint[], h_text text[]
) RETURNS TABLE (
  event_id text, event_type text, venue text, source text, schema_version int, observed_at timestamptz, ingested_at timestamptz, correlation_id text,
  causation_id text, payload jsonb, raw json, topic text, partition int, "offset" bigint, source_lane text, incarnation uuid, "position" bigint
)
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT e ->> 'event_id', e ->> 'event_type', e ->> 'venue', e ->> 'source', (e ->> 'schema_version')::int, (e ->> 'observed_at')::timestamptz,
    (e ->> 'ingested_at')::timestamptz, e ->> 'correlation_id', e ->> 'causation_id', e -> 'payload', u.text::json,
    u.topic, u.partition, u."offset", u.source_lane, u.incarnation, u.position
  FROM unnest(h_topic, h_partition, h_offset, h_source_lane, h_incarnation, h_position, h_text)
      u(topic, partition, "offset", source_lane, incarnation, position, text)
    CROSS JOIN LATERAL (SELECT u.text::jsonb OFFSET 0) parsed(e)
  WHERE u.topic = p_topic
$$;

-- Called as `SELECT commit_history(commit_batch(...), ...)`: one statement, so the fence stands before the rows and one fsync
-- makes both durable. It runs with the caller's rights: only the history writer may insert.
CREATE FUNCTION commit_history(
  p_outcome text, h_topic text[], h_partition int[], h_offset bigint[], h_source_lane text[], h_incarnation uuid[], h_position bigint[], h_text text[]
) RETURNS text
  LANGUAGE plpgsql SECURITY INVOKER SET search_path = unrip, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  d date := today();
BEGIN
  IF p_outcome <> 'done' THEN RETURN p_outcome; END IF;
  IF 'raw.near_intents.quote' = ANY (h_topic) THEN
    INSERT INTO public.raw_near_intents_quotes (day, event_id, event_type, venue, source, schema_version, observed_at, ingested_at, correlation_id, causation_id,
      payload, raw, topic, partition, "offset", source_lane, incarnation, position)
    SELECT d, r.* FROM history_rows('raw.near_intents.quote', h_topic, h_partition, h_offset, h_source_lane, h_incarnation, h_position, h_text) r
    ON CONFLICT (event_id, day) DO NOTHING;
  END IF;
  IF 'norm.swap_demand' = ANY (h_topic) THEN
    INSERT INTO public.swap_demand_events (day, event_id, event_type, venue, source, schema_version, observed_at, ingested_at, correlation_id, causation_id,
      payload, raw, topic, partition, "offset", source_lane, incarnation, position)
    SELECT d, r.* FROM history_rows('norm.swap_demand', h_topic, h_partition, h_offset, h_source_lane, h_incarnation, h_position, h_text) r
    ON CONFLICT (event_id, day) DO NOTHING;
  END IF;
  IF 'ref.market_price' = ANY (h_topic) THEN
    INSERT INTO public.market_price_events (day, event_id, event_type, venue, source, schema_version, observed_at, ingested_at, correlation_id, causation_id,
      payload, raw, topic, partition, "offset", source_lane, incarnation, position)
    SELECT d, r.* FROM history_rows('ref.market_price', h_topic, h_partition, h_offset, h_source_lane, h_incarnation, h_position, h_text) r
    ON CONFLICT (event_id, day) DO NOTHING;
  END IF;
  IF 'state.intent_inventory' = ANY (h_topic) THEN
    INSERT INTO public.intent_inventory_snapshots (day, event_id, event_type, venue, source, schema_version, observed_at, ingested_at, correlation_id, causation_id,
      payload, raw, topic, partition, "offset", source_lane, incarnation, position)
    SELECT d, r.* FROM history_rows('state.intent_inventory', h_topic, h_partition, h_offset, h_source_lane, h_incarnation, h_position, h_text) r
    ON CONFLICT (event_id, day) DO NOTHING;
  END IF;
  IF 'ops.liquidity_action' = ANY (h_topic) THEN
    INSERT INTO public.liquidity_actions (day, event_id, event_type, venue, source, schema_version, observed_at, ingested_at, correlation_id, causation_id,
      payload, raw, topic, partition, "offset", source_lane, incarnation, position)
    SELECT d, r.* FROM history_rows('ops.liquidity_action', h_topic, h_partition, h_offset, h_source_lane, h_incarnation, h_position, h_text) r
    ON CONFLICT (event_id, day) DO NOTHING;
  END IF;
  IF 'decision.trade_decision' = ANY (h_topic) THEN
    INSERT INTO public.trade_decisions (day, event_id, event_type, venue, source, schema_version, observed_at, ingested_at, correlation_id, causation_id,
      payload, raw, topic, partition, "offset", source_lane, incarnation, position)
    SELECT d, r.* FROM history_rows('decision.trade_decision', h_topic, h_partition, h_offset, h_source_lane, h_incarnation, h_position, h_text) r
    ON CONFLICT (event_id, day) DO NOTHING;
  END IF;
  IF 'cmd.execute_trade' = ANY (h_topic) THEN
    INSERT INTO public.execute_trade_commands (day, event_id, event_type, venue, source, schema_version, observed_at, ingested_at, correlation_id, causation_id,
      payload, raw, topic, partition, "offset", source_lane, incarnation, position)
    SELECT d, r.* FROM history_rows('cmd.execute_trade', h_topic, h_partition, h_offset, h_source_lane, h_incarnation, h_position, h_text) r
    ON CONFLICT (event_id, day) DO NOTHING;
  END IF;
  IF 'exec.trade_result' = ANY (h_topic) THEN
    INSERT INTO public.trade_execution_results (day, event_id, event_type, venue, source, schema_version, observed_at, ingested_at, correlation_id, causation_id,
      payload, raw, topic, partition, "offset", source_lane, incarnation, position)
    SELECT d, r.* FROM history_rows('exec.trade_result', h_topic, h_partition, h_offset, h_source_lane, h_incarnation, h_position, h_text) r
    ON CONFLICT (event_id, day) DO NOTHING;
  END IF;
  IF 'ops.funding_observation' = ANY (h_topic) THEN
    INSERT INTO public.funding_observations (day, event_id, event_type, venue, source, schema_version, observed_at, ingested_at, correlation_id, causation_id,
      payload, raw, topic, partition, "offset", source_lane, incarnation, position)
    SELECT d, r.* FROM history_rows('ops.funding_observation', h_topic, h_partition, h_offset, h_source_lane, h_incarnation, h_position, h_text) r
    ON CONFLICT (event_id, day) DO NOTHING;
  END IF;
  IF 'ops.alert_event' = ANY (h_topic) THEN
    INSERT INTO public.alert_events (day, event_id, event_type, venue, source, schema_version, observed_at, ingested_at, correlation_id, causation_id,
      payload, raw, topic, partition, "offset", source_lane, incarnation, position)
    SELECT d, r.* FROM history_rows('ops.alert_event', h_topic, h_partition, h_offset, h_source_lane, h_incarnation, h_position, h_text) r
    ON CONFLICT (event_id, day) DO NOTHING;
  END IF;
  IF 'ops.audit_state' = ANY (h_topic) THEN
    INSERT INTO public.audit_states (day, event_id, event_type, venue, source, schema_version, observed_at, ingested_at, correlation_id, causation_id,
      payload, raw, topic, partition, "offset", source_lane, incarnation, position)
    SELECT d, r.* FROM history_rows('ops.audit_state', h_topic, h_partition, h_offset, h_source_lane, h_incarnation, h_position, h_text) r
    ON CONFLICT (event_id, day) DO NOTHING;
  END IF;
  IF 'ctl.operator_command' = ANY (h_topic) THEN
    INSERT INTO public.operator_commands (day, event_id, event_type, venue, source, schema_version, observed_at, ingested_at, correlation_id, causation_id,
      payload, raw, topic, partition, "offset", source_lane, incarnation, position)
    SELECT d, r.* FROM history_rows('ctl.operator_command', h_topic, h_partition, h_offset, h_source_lane, h_incarnation, h_position, h_text) r
    ON CONFLICT (event_id, day) DO NOTHING;
  END IF;
  IF EXISTS (SELECT FROM unnest(h_topic) u(topic) WHERE history_table(u.topic) IS NULL) THEN
    RAISE EXCEPTION 'a history row of topic % has no table', (SELECT u.topic FROM unnest(h_topic) u(topic) WHERE history_table(u.topic) IS NULL LIMIT 1)
      USING ERRCODE = '23000';
  END IF;
  RETURN p_outcome;
END $$;
GRANT EXECUTE ON FUNCTION commit_history, history_rows, history_table TO unrip_history_writer;

-- One row a quote: demand, decision, command, every result in order, the final code, and the price and inventory records
-- that the decision used. A quote that has reached any of these tables is here; what has not arrived yet is null.
CREATE VIEW public.quote_chain AS
SELECT
  q.quote_id,
  coalesce(demand.correlation_id, decision.correlation_id, command.correlation_id) AS correlation_id,
  coalesce(demand.pair, decision.pair, command.pair) AS pair,
  coalesce(demand.direction, decision.direction, command.direction) AS direction,
  raw_quote.event_id AS raw_event_id,
  raw_quote.payload AS raw_quote,
  demand.event_id AS demand_event_id,
  demand.causation_id AS demand_causation_id,
  demand.payload AS demand,
  demand.observed_at AS demand_observed_at,
  demand.ingested_at AS demand_ingested_at,
  decision.event_id AS decision_event_id,
  decision.causation_id AS decision_causation_id,
  decision.decision_id,
  decision.decision,
  decision.decision_reason,
  decision.payload AS decision_payload,
  decision.ingested_at AS decided_at,
  price.event_id AS price_event_id,
  price.payload AS price,
  inventory.event_id AS inventory_event_id,
  decision.inventory_id,
  inventory.payload AS inventory,
  command.event_id AS command_event_id,
  command.causation_id AS command_causation_id,
  command.command_id,
  command.idempotency_key,
  command.execution_key,
  command.payload AS command,
  command.ingested_at AS commanded_at,
  coalesce(results.results, '[]') AS results,
  results.final_result_code,
  results.final_status,
  results.first_result_at,
  results.final_result_at
FROM (
  SELECT quote_id FROM public.swap_demand_events WHERE quote_id IS NOT NULL
  UNION SELECT quote_id FROM public.trade_decisions WHERE quote_id IS NOT NULL
  UNION SELECT quote_id FROM public.execute_trade_commands WHERE quote_id IS NOT NULL
  UNION SELECT quote_id FROM public.trade_execution_results WHERE quote_id IS NOT NULL
) q
LEFT JOIN LATERAL (SELECT * FROM public.swap_demand_events t WHERE t.quote_id = q.quote_id ORDER BY t.ingested_at, t.event_id LIMIT 1) demand ON true
LEFT JOIN LATERAL (SELECT * FROM public.raw_near_intents_quotes t WHERE t.quote_id = q.quote_id
  ORDER BY t.event_id = demand.causation_id DESC NULLS LAST, t.ingested_at, t.event_id LIMIT 1) raw_quote ON true
LEFT JOIN LATERAL (SELECT * FROM public.trade_decisions t WHERE t.quote_id = q.quote_id ORDER BY t.ingested_at, t.event_id LIMIT 1) decision ON true
LEFT JOIN LATERAL (SELECT * FROM public.execute_trade_commands t WHERE t.quote_id = q.quote_id ORDER BY t.ingested_at, t.event_id LIMIT 1) command ON true
LEFT JOIN LATERAL (SELECT * FROM public.market_price_events t WHERE t.event_id = decision.payload ->> 'price_event_id' LIMIT 1) price ON true
LEFT JOIN LATERAL (SELECT * FROM public.intent_inventory_snapshots t WHERE t.inventory_id = decision.inventory_id
  ORDER BY t.ingested_at, t.event_id LIMIT 1) inventory ON true
LEFT JOIN LATERAL (
  SELECT
    jsonb_agg(jsonb_build_object('event_id', t.event_id, 'causation_id', t.causation_id, 'correlation_id', t.correlation_id,
      'ingested_at', t.ingested_at, 'observed_at', t.observed_at) || t.payload ORDER BY t.ingested_at, t.incarnation, t.position) AS results,
    max(t.result_code) FILTER (WHERE t.result_code NOT IN ('SUBMITTED', 'REJECTED', 'UNCERTAIN', 'RECOVERED')) AS final_result_code,
    max(t.status) FILTER (WHERE t.result_code NOT IN ('SUBMITTED', 'REJECTED', 'UNCERTAIN', 'RECOVERED')) AS final_status,
    min(t.ingested_at) AS first_result_at,
    max(t.ingested_at) FILTER (WHERE t.result_code NOT IN ('SUBMITTED', 'REJECTED', 'UNCERTAIN', 'RECOVERED')) AS final_result_at
  FROM public.trade_execution_results t WHERE t.quote_id = q.quote_id
) results ON true;
GRANT SELECT ON public.quote_chain TO unrip_history_writer, unrip_operator;

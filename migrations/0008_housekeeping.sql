-- Why: a registration whose answer was lost may be sent again; rows that nobody needs any more go; the administrator sees
--   what the operator sees.
-- Lock: none that matters; functions, and two indexes on tables that are still small.
-- Running hosts: keep working.

CREATE OR REPLACE FUNCTION register_process(p_process uuid, p_service text, p_release text, p_url text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
BEGIN
  PERFORM assert_ours(p_service);
  DELETE FROM process WHERE service = p_service AND expires_at < clock_timestamp() - interval '1 day';
  INSERT INTO process AS p (process, service, release, url, state, lease_ms, expires_at)
  VALUES (p_process, p_service, p_release, p_url, 'live', 1500, clock_timestamp() + interval '1500 ms')
  ON CONFLICT (process) DO UPDATE SET release = excluded.release, url = excluded.url, expires_at = excluded.expires_at
  WHERE p.service = excluded.service;
  IF NOT FOUND THEN RAISE EXCEPTION 'process % is of another service', p_process USING ERRCODE = '23000'; END IF;
END $$;

CREATE OR REPLACE FUNCTION seen_service() RETURNS text
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
  SELECT CASE WHEN session_user = 'unrip_operator' OR pg_has_role(session_user, 'unrip_owner', 'MEMBER') THEN '*'
    ELSE (SELECT service FROM service WHERE role = session_user) END
$$;

CREATE INDEX effect_ended ON effect (service, updated_at_ms) WHERE state NOT IN ('p', 'u');
CREATE INDEX operator_order_at ON operator_order (service, at);

-- Removes what ended before a time: actors, effects, and orders that every lane has answered; at most p_limit of each. A
-- late event for an actor that is gone starts it anew, so the time lies before all that Kafka still holds.
CREATE FUNCTION sweep(p_service text, p_before_ms bigint, p_limit int) RETURNS int
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp SET enable_seqscan = off AS $$
DECLARE
  n int;
  gone int := 0;
BEGIN
  PERFORM assert_ours(p_service);
  DELETE FROM actor WHERE ctid = ANY (ARRAY(SELECT a.ctid FROM actor a
    WHERE a.service = p_service AND a.lane IN (SELECT lane FROM lane WHERE service = p_service) AND a.ended_at_ms < p_before_ms LIMIT p_limit));
  GET DIAGNOSTICS n = ROW_COUNT;
  gone := gone + n;
  DELETE FROM effect WHERE ctid = ANY (ARRAY(SELECT e.ctid FROM effect e
    WHERE e.service = p_service AND e.state NOT IN ('p', 'u') AND e.updated_at_ms < p_before_ms LIMIT p_limit));
  GET DIAGNOSTICS n = ROW_COUNT;
  gone := gone + n;
  WITH old AS (
    SELECT o.id FROM operator_order o WHERE o.service = p_service AND o.at < to_timestamp(p_before_ms / 1000.0)
      AND NOT EXISTS (SELECT FROM order_lane l WHERE l.id = o.id AND l.done_turn IS NULL) ORDER BY o.at LIMIT p_limit
  ), answers AS (DELETE FROM order_lane WHERE id IN (SELECT id FROM old))
  DELETE FROM operator_order WHERE id IN (SELECT id FROM old);
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN gone + n;
END $$;
GRANT EXECUTE ON FUNCTION sweep(text, bigint, int) TO unrip_service;

-- Why: a host takes no lane that its code cannot load, and a release can be taken down by one version. So every process says
--   which machines it runs and which it can load, and every lane remembers which may be stored in it. A structure is written
--   `<kind> <version> <hash>`.
-- Lock: ACCESS EXCLUSIVE on process for the moment of its ALTER; one scan of actor, without a lock.
-- Running hosts: keep working. A process that says nothing of its structures counts as able to load everything, as before.

-- Null: it has said nothing. runs: what it may store. loads: what it can read, that included.
ALTER TABLE process ADD COLUMN runs text[], ADD COLUMN loads text[];

CREATE TABLE lane_structure (
  service text COLLATE "C" NOT NULL,
  lane int NOT NULL,
  structure text COLLATE "C" NOT NULL,
  PRIMARY KEY (service, lane, structure),
  FOREIGN KEY (service, lane) REFERENCES lane
);

-- What each release ran, for naming it when it is to run again.
CREATE TABLE release (
  service text COLLATE "C" NOT NULL REFERENCES service,
  release text COLLATE "C" NOT NULL,
  runs text[] NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (service, release)
);

INSERT INTO lane_structure (service, lane, structure)
SELECT DISTINCT a.service, a.lane, a.kind || ' ' || s.found[1] || ' ' || s.found[2]
FROM actor a CROSS JOIN LATERAL (
  SELECT regexp_match(convert_from(substring(a.body FOR 80), 'LATIN1'), '^\{"v":(\d+),"h":"([^"]*)"') AS found) s
WHERE s.found IS NOT NULL;

ALTER TABLE lane_structure ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON lane_structure FOR SELECT TO unrip_reader USING ((SELECT seen_service()) IN ('*', service));
ALTER TABLE release ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON release FOR SELECT TO unrip_reader USING ((SELECT seen_service()) IN ('*', service));
GRANT SELECT ON lane_structure, release TO unrip_reader;

SET LOCAL ROLE unrip_reader;
CREATE VIEW seen.lane_structure WITH (security_barrier) AS SELECT * FROM unrip.lane_structure;
CREATE VIEW seen.release WITH (security_barrier) AS SELECT * FROM unrip.release;
GRANT SELECT ON seen.lane_structure, seen.release TO unrip_service, unrip_operator;
SET LOCAL ROLE unrip_owner;

-- As before, with what the process runs and can load.
CREATE FUNCTION register_process(p_process uuid, p_service text, p_release text, p_url text, p_runs text[], p_loads text[]) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
BEGIN
  PERFORM register_process(p_process, p_service, p_release, p_url);
  UPDATE process SET runs = p_runs, loads = p_loads WHERE process = p_process;
  INSERT INTO release AS r (service, release, runs, at) VALUES (p_service, p_release, p_runs, clock_timestamp())
  ON CONFLICT (service, release) DO UPDATE SET runs = excluded.runs, at = excluded.at WHERE r.runs <> excluded.runs;
END $$;

-- Structures that may be stored in a lane and that this process cannot load; none where it has said nothing.
CREATE FUNCTION not_loadable(p_service text, p_lane int, p_loads text[]) RETURNS text[]
  LANGUAGE sql STABLE SET search_path = unrip, pg_temp AS $$
  SELECT coalesce(array_agg(x.structure ORDER BY x.structure), '{}') FROM lane_structure x
  WHERE x.service = p_service AND x.lane = p_lane AND x.structure <> ALL (p_loads)
$$;

-- Extends the lease and tells how the service stands. `lanes` is [{lane, owner, expired, epoch, notLoadable}]. Live are those
-- that do not drain and can load every lane.
CREATE OR REPLACE FUNCTION renew_process(p_process uuid, p_state text, p_lease_ms int)
  RETURNS TABLE (now_ms bigint, live int, lanes json, open_orders int[])
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
DECLARE
  t timestamptz := clock_timestamp();
  me process;
  s text;
BEGIN
  UPDATE process p SET state = p_state, lease_ms = p_lease_ms, expires_at = t + p_lease_ms * interval '1 ms'
  WHERE p.process = p_process RETURNING p.* INTO me;
  s := me.service;
  IF s IS NULL THEN RAISE EXCEPTION 'process % is not registered', p_process USING ERRCODE = '23000'; END IF;
  PERFORM assert_ours(s);
  RETURN QUERY SELECT
    floor(extract(epoch FROM t) * 1000)::bigint,
    (SELECT count(*)::int FROM process p WHERE p.service = s AND p.state = 'live' AND p.expires_at > t
      AND NOT EXISTS (SELECT FROM lane_structure x WHERE x.service = s AND x.structure <> ALL (p.loads))),
    (SELECT coalesce(json_agg(json_build_object('lane', l.lane, 'owner', l.owner, 'epoch', l.epoch,
        'expired', l.owner IS NOT NULL AND (o.expires_at IS NULL OR o.expires_at <= t),
        'notLoadable', not_loadable(s, l.lane, me.loads)) ORDER BY l.lane), '[]')
      FROM lane l LEFT JOIN process o ON o.process = l.owner WHERE l.service = s),
    (SELECT coalesce(array_agg(DISTINCT q.lane), '{}') FROM order_lane q WHERE q.service = s AND q.done_turn IS NULL);
END $$;

-- As before; a lane that holds what the process cannot load is not its to take, and a taken one may hold what it runs.
CREATE OR REPLACE FUNCTION take_lane(p_process uuid, p_service text, p_lane int, p_how text) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
DECLARE
  me process;
  found_owner uuid;
  taken bigint;
  is_ours boolean;
BEGIN
  PERFORM assert_ours(p_service);
  SELECT * INTO me FROM process p WHERE p.process = p_process AND p.service = p_service;
  IF NOT FOUND THEN RAISE EXCEPTION 'process % is not registered for %', p_process, p_service USING ERRCODE = '23000'; END IF;
  IF NOT EXISTS (SELECT FROM lane WHERE service = p_service AND lane = p_lane) THEN
    RAISE EXCEPTION 'lane %/% does not exist', p_service, p_lane USING ERRCODE = '23000';
  END IF;
  IF EXISTS (SELECT FROM fleet f, storage_identity() i WHERE (f.system_id, f.timeline) <> (i.system_id, i.timeline)) THEN
    PERFORM FROM fleet FOR UPDATE;
    IF EXISTS (SELECT FROM fleet f, storage_identity() i WHERE (f.system_id, f.timeline) <> (i.system_id, i.timeline)) THEN
      PERFORM reincarnate_all();
    END IF;
  END IF;
  IF me.expires_at <= clock_timestamp() THEN RETURN NULL; END IF;
  IF p_how = 'free' THEN
    SELECT owner INTO found_owner FROM lane WHERE service = p_service AND lane = p_lane FOR UPDATE SKIP LOCKED;
  ELSE
    SELECT owner INTO found_owner FROM lane WHERE service = p_service AND lane = p_lane FOR UPDATE;
  END IF;
  IF NOT FOUND THEN RETURN NULL; END IF;
  is_ours := found_owner IS NULL OR found_owner = p_process;
  IF NOT is_ours AND (p_how <> 'expired'
    OR clock_timestamp() < pg_postmaster_start_time() + me.lease_ms * interval '1 ms'
    OR EXISTS (SELECT FROM process o WHERE o.process = found_owner AND o.expires_at > clock_timestamp())) THEN RETURN NULL; END IF;
  IF not_loadable(p_service, p_lane, me.loads) <> '{}' THEN RETURN NULL; END IF;
  INSERT INTO lane_structure (service, lane, structure) SELECT p_service, p_lane, r FROM unnest(me.runs) r ON CONFLICT DO NOTHING;
  UPDATE lane SET owner = p_process, epoch = epoch + 1, digest = NULL, release = me.release
  WHERE service = p_service AND lane = p_lane RETURNING epoch INTO taken;
  RETURN taken;
END $$;

-- 42501, UR001. The lane's row stays locked until the end of the transaction.
CREATE FUNCTION assert_owned(p_service text, p_lane int, p_epoch bigint) RETURNS void
  LANGUAGE plpgsql SET search_path = unrip, pg_temp AS $$
BEGIN
  PERFORM assert_ours(p_service);
  PERFORM FROM lane WHERE service = p_service AND lane = p_lane AND epoch = p_epoch AND owner IS NOT NULL FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'lane %/%: epoch % is not its owner''s', p_service, p_lane, p_epoch USING ERRCODE = 'UR001';
  END IF;
END $$;

-- The lane's owner has looked through all of it: this is what is stored there, and nothing else.
CREATE FUNCTION set_structures(p_service text, p_lane int, p_epoch bigint, p_structures text[]) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
BEGIN
  PERFORM assert_owned(p_service, p_lane, p_epoch);
  DELETE FROM lane_structure WHERE service = p_service AND lane = p_lane AND structure <> ALL (p_structures);
  INSERT INTO lane_structure (service, lane, structure) SELECT p_service, p_lane, s FROM unnest(p_structures) s ON CONFLICT DO NOTHING;
END $$;

-- Other words for parked events that are still open, by the lane's owner.
CREATE FUNCTION rewrite_parked(p_service text, p_lane int, p_epoch bigint, p_days date[], p_turns bigint[], p_events bytea[]) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
BEGIN
  PERFORM assert_owned(p_service, p_lane, p_epoch);
  UPDATE parked p SET event = u.event FROM unnest(p_days, p_turns, p_events) u(day, turn, event)
  WHERE p.day = u.day AND p.service = p_service AND p.lane = p_lane AND p.turn = u.turn AND p.done IS NULL;
END $$;

-- All timers of these actors, one index range each.
CREATE FUNCTION timers_of(p_service text, p_lane int, p_kinds text[], p_keys text[]) RETURNS SETOF timer
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp SET plan_cache_mode = force_generic_plan
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
BEGIN
  PERFORM assert_ours(p_service);
  RETURN QUERY SELECT x.* FROM unnest(p_kinds, p_keys) w(kind, key) CROSS JOIN LATERAL (
    SELECT t.* FROM timer t
    WHERE t.service = p_service AND t.lane = p_lane AND t.kind = w.kind COLLATE "C" AND t.key = w.key COLLATE "C" OFFSET 0) x;
END $$;

GRANT EXECUTE ON FUNCTION register_process(uuid, text, text, text, text[], text[]), set_structures(text, int, bigint, text[]),
  rewrite_parked(text, int, bigint, date[], bigint[], bytea[]), timers_of(text, int, text[], text[]) TO unrip_service;

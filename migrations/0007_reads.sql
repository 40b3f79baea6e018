-- Why: seeing without touching. A service's role reads its own rows, the operator's role reads all, through the views of
--   schema `seen`; row security of the tables decides, and the views' owner (unrip_reader) is subject to it.
-- Lock: ACCESS EXCLUSIVE on each kernel table for the moment of its ALTER; commits wait that long.
-- Running hosts: keep working; the tables' owner, as whom commits run, is not subject to row security.

-- The session's service; '*' for the operator; null for anybody else.
CREATE FUNCTION seen_service() RETURNS text
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
  SELECT CASE WHEN session_user = 'unrip_operator' THEN '*' ELSE (SELECT service FROM service WHERE role = session_user) END
$$;
GRANT EXECUTE ON FUNCTION seen_service() TO unrip_reader, unrip_service, unrip_operator;

CREATE SCHEMA seen AUTHORIZATION unrip_reader;

ALTER TABLE process ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON process FOR SELECT TO unrip_reader USING ((SELECT seen_service()) IN ('*', service));
ALTER TABLE lane ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON lane FOR SELECT TO unrip_reader USING ((SELECT seen_service()) IN ('*', service));
ALTER TABLE input ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON input FOR SELECT TO unrip_reader USING ((SELECT seen_service()) IN ('*', service));
ALTER TABLE mark ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON mark FOR SELECT TO unrip_reader USING ((SELECT seen_service()) IN ('*', service));
ALTER TABLE sent ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON sent FOR SELECT TO unrip_reader USING ((SELECT seen_service()) IN ('*', service));
ALTER TABLE actor ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON actor FOR SELECT TO unrip_reader USING ((SELECT seen_service()) IN ('*', service));
ALTER TABLE journal ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON journal FOR SELECT TO unrip_reader USING ((SELECT seen_service()) IN ('*', service));
ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON outbox FOR SELECT TO unrip_reader USING ((SELECT seen_service()) IN ('*', service));
ALTER TABLE timer ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON timer FOR SELECT TO unrip_reader USING ((SELECT seen_service()) IN ('*', service));
ALTER TABLE effect ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON effect FOR SELECT TO unrip_reader USING ((SELECT seen_service()) IN ('*', service));
ALTER TABLE operator_order ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON operator_order FOR SELECT TO unrip_reader USING ((SELECT seen_service()) IN ('*', service));
ALTER TABLE order_lane ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON order_lane FOR SELECT TO unrip_reader USING ((SELECT seen_service()) IN ('*', service));
ALTER TABLE parked ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON parked FOR SELECT TO unrip_reader USING ((SELECT seen_service()) IN ('*', service));

GRANT SELECT ON process, lane, input, mark, sent, actor, journal, outbox, timer, effect, operator_order, order_lane, parked TO unrip_reader;
GRANT SELECT ON fleet TO unrip_operator;

SET LOCAL ROLE unrip_reader;
GRANT USAGE ON SCHEMA seen TO unrip_service, unrip_operator;
CREATE VIEW seen.process WITH (security_barrier) AS SELECT * FROM unrip.process;
CREATE VIEW seen.lane WITH (security_barrier) AS SELECT * FROM unrip.lane;
CREATE VIEW seen.input WITH (security_barrier) AS SELECT * FROM unrip.input;
CREATE VIEW seen.mark WITH (security_barrier) AS SELECT * FROM unrip.mark;
CREATE VIEW seen.sent WITH (security_barrier) AS SELECT * FROM unrip.sent;
CREATE VIEW seen.actor WITH (security_barrier) AS SELECT * FROM unrip.actor;
CREATE VIEW seen.journal WITH (security_barrier) AS SELECT * FROM unrip.journal;
CREATE VIEW seen.outbox WITH (security_barrier) AS SELECT day, service, lane, batch, incarnation, code_hash, attached, length(blob) AS blob_bytes FROM unrip.outbox;
CREATE VIEW seen.timer WITH (security_barrier) AS SELECT * FROM unrip.timer;
CREATE VIEW seen.effect WITH (security_barrier) AS SELECT * FROM unrip.effect;
CREATE VIEW seen.operator_order WITH (security_barrier) AS SELECT * FROM unrip.operator_order;
CREATE VIEW seen.order_lane WITH (security_barrier) AS SELECT * FROM unrip.order_lane;
CREATE VIEW seen.parked WITH (security_barrier) AS SELECT * FROM unrip.parked;
GRANT SELECT ON ALL TABLES IN SCHEMA seen TO unrip_service, unrip_operator;
SET LOCAL ROLE unrip_owner;

-- Why: the operator's role only looks, and could make partitions. And parked events that are taken down a version are found by hash:
--   with a nested loop a page of them may be looked through for each parked row of the lane.
-- Lock: none; functions.
-- Running hosts: keep working.

REVOKE EXECUTE ON FUNCTION ensure_days(int) FROM unrip_operator, unrip_reader;
ALTER FUNCTION rewrite_parked(text, int, bigint, date[], bigint[], bytea[]) SET enable_nestloop = off;

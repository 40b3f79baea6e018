-- Why: a timer that has fired leaves a dead entry at the very front of timer_due, where every takeover begins to read: 300,000 of them
--   made the first window take 1.5 s instead of 0.1. A share of the table (20 % by default) is too much to wait for when a million
--   are armed; a fixed number is not.
-- Lock: SHARE UPDATE EXCLUSIVE on timer, for a moment; commits go on.
-- Running hosts: keep working.

ALTER TABLE timer SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000, autovacuum_vacuum_cost_limit = 2000);

-- A run writes a match for each of up to a million lines, in the order of their references: an index over line and
-- position has to be written at a random place for each, and nobody looks a match up by them. What is asked is which
-- positions the matches of a statement have.
ALTER TABLE reconciliation_matches DROP CONSTRAINT reconciliation_matches_pkey;
CREATE INDEX reconciliation_matches_of_statement ON reconciliation_matches (statement);

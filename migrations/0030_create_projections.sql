-- How far each read model has folded the log, and who may fold it now. A runner changes this row in the transaction
-- that writes its rows, on condition that position and epoch are still what it knows, so that a batch counts once even
-- if two runners believe to hold the lease: whoever was overtaken hits no row and rolls back. The tables of the read
-- models themselves are not made by migrations but by the projections, in schemas of their own (`rm_<name>`), since a
-- rebuild throws them away. Without this table no runner would know where to go on.
CREATE TABLE projections (
    name        text        NOT NULL PRIMARY KEY,
    version     integer     NOT NULL,
    position    bigint      NOT NULL DEFAULT 0 CHECK (position >= 0),
    -- Counts the changes of hands: each takeover and each rebuild.
    epoch       bigint      NOT NULL DEFAULT 0,
    owner       uuid,
    lease_until timestamptz NOT NULL DEFAULT '-infinity',
    state       text        NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'stopped', 'rebuilding')),
    -- Why it stopped.
    error       text,
    updated_at  timestamptz NOT NULL DEFAULT now()
);

-- +goose Up
-- The release before works on this schema: its commits come one way only.

-- filemeta ---------------------------------------------------------------------------------------------------

-- What became of each commit, where it may come by more than one way.
CREATE TABLE applied (
    id      TEXT    NOT NULL PRIMARY KEY,
    kind    INTEGER NOT NULL, -- why it was refused; see the kinds of errors
    code    TEXT    NOT NULL,
    field   TEXT    NOT NULL,
    node_id INTEGER NOT NULL, -- the file; 0: it was refused
    created INTEGER NOT NULL,
    at      INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX applied_at ON applied (at);

-- Up to where each partition of the commit log is applied.
CREATE TABLE log_positions (
    topic TEXT    NOT NULL,
    part  INTEGER NOT NULL,
    next  INTEGER NOT NULL,
    PRIMARY KEY (topic, part)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE log_positions;
DROP TABLE applied;

-- +goose Up
-- The release before works on this schema: it knows of no migrations but its own, which nobody shares.

-- filemeta ---------------------------------------------------------------------------------------------------

-- Content that moves from one store to another.
CREATE TABLE store_migrations (
    id         INTEGER NOT NULL PRIMARY KEY,
    source     TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    drive_id   INTEGER NOT NULL, -- 0: of all drives
    min_size   INTEGER NOT NULL,
    max_size   INTEGER NOT NULL, -- 0: no bound
    rate       INTEGER NOT NULL, -- bytes a second, of all processes together; 0: no bound
    width      INTEGER NOT NULL, -- blobs at once, of each process
    state      INTEGER NOT NULL, -- 0 runs, 1 done, 2 cancelled
    running    TEXT    UNIQUE,   -- stands for what moves, while it runs: the same runs once
    created_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL DEFAULT 0
);

-- The parts of a migration, by the first byte of the digest. Whoever holds one moves its blobs, in the digests' order.
CREATE TABLE store_migration_parts (
    migration_id INTEGER NOT NULL,
    part         INTEGER NOT NULL,
    holder       TEXT    NOT NULL DEFAULT '', -- of the lease, until then
    held_until   INTEGER NOT NULL DEFAULT 0,
    done         INTEGER NOT NULL DEFAULT 0,
    last_digest  BLOB    NOT NULL DEFAULT x'', -- all up to it is done, and counted here
    blobs        INTEGER NOT NULL DEFAULT 0,
    bytes        INTEGER NOT NULL DEFAULT 0,
    unused       INTEGER NOT NULL DEFAULT 0,
    shared       INTEGER NOT NULL DEFAULT 0,
    kept         INTEGER NOT NULL DEFAULT 0,
    damaged      INTEGER NOT NULL DEFAULT 0,
    problems     BLOB    NOT NULL DEFAULT x'', -- the first of them: a MigrationCounts
    error        TEXT    NOT NULL DEFAULT '', -- of the last attempt
    PRIMARY KEY (migration_id, part)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE store_migration_parts;
DROP TABLE store_migrations;

-- +goose Up
-- The release before works on this schema: it knows of no reservations, so its uploads do not count what they hold.

-- filemeta ---------------------------------------------------------------------------------------------------

ALTER TABLE drives ADD COLUMN reserved INTEGER NOT NULL DEFAULT 0; -- bytes: the sum of the drive's reservations

-- Room in a drive for an upload under way, and the content that it claims.
CREATE TABLE reservations (
    id         INTEGER NOT NULL PRIMARY KEY,
    drive_id   INTEGER NOT NULL,
    size       INTEGER NOT NULL,
    digest     BLOB, -- of content that somebody holds and that is not to be deleted meanwhile
    actor_id   INTEGER NOT NULL,
    key        TEXT    NOT NULL DEFAULT '', -- Idempotency-Key
    deed       BLOB    NOT NULL, -- stands for what was asked
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX reservations_drive ON reservations (drive_id);
CREATE INDEX reservations_digest ON reservations (digest) WHERE digest IS NOT NULL;
CREATE INDEX reservations_expiry ON reservations (expires_at);
CREATE UNIQUE INDEX reservations_key ON reservations (actor_id, key) WHERE key <> '';

-- Blobs of a store that were found unused, from the first round that found one so until it is deleted or used.
CREATE TABLE condemned (
    digest   BLOB    NOT NULL,
    store    TEXT    NOT NULL,
    put_at   INTEGER NOT NULL, -- when the blob was last put, by the store's clock, in nanoseconds
    round    TEXT    NOT NULL, -- the last round that found it unused,
    rounds   INTEGER NOT NULL, -- and how many have
    since    INTEGER NOT NULL, -- when the first of them did
    deleting INTEGER NOT NULL DEFAULT 0, -- 1: its end is decided, and nobody can claim it
    PRIMARY KEY (digest, store)
) WITHOUT ROWID;

-- With the drive in it, the index finds content among a user's own without a look at anybody else's.
CREATE INDEX versions_content ON versions (digest, size, drive_id);
DROP INDEX versions_digest;

-- +goose Down
CREATE INDEX versions_digest ON versions (digest, size);
DROP INDEX versions_content;
DROP TABLE condemned;
DROP TABLE reservations;
ALTER TABLE drives DROP COLUMN reserved;

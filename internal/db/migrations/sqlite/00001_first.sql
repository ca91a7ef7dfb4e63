-- +goose Up
-- Times are milliseconds since 1970, UTC. Ids come from sequences, in blocks that a process takes at a time.

-- The oldest schema version whose program still works on this schema. A step that an older program could not live
-- with raises it; others leave it, so that the release before keeps running beside its successor.
CREATE TABLE compatibility (
    oldest INTEGER NOT NULL
);
INSERT INTO compatibility (oldest) VALUES (1);

CREATE TABLE sequences (
    name TEXT NOT NULL PRIMARY KEY,
    next INTEGER NOT NULL
) WITHOUT ROWID;

-- user -------------------------------------------------------------------------------------------------------

CREATE TABLE users (
    id            INTEGER NOT NULL PRIMARY KEY,
    login         TEXT    NOT NULL UNIQUE,
    password_hash TEXT    NOT NULL, -- argon2id in PHC string format; '' allows no password sign-in
    role          TEXT    NOT NULL CHECK (role IN ('admin', 'user')),
    disabled_at   INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL
);

CREATE TABLE sessions (
    id          INTEGER NOT NULL PRIMARY KEY,
    user_id     INTEGER NOT NULL REFERENCES users (id),
    cookie_hash BLOB    UNIQUE, -- SHA-256 of a browser's session cookie; NULL for a program's session
    client      TEXT    NOT NULL DEFAULT '',
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    revoked_at  INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE refresh_tokens (
    hash       BLOB    NOT NULL PRIMARY KEY, -- SHA-256 of the token
    session_id INTEGER NOT NULL REFERENCES sessions (id),
    expires_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

-- filemeta ---------------------------------------------------------------------------------------------------

CREATE TABLE drives (
    id         INTEGER NOT NULL PRIMARY KEY,
    owner_id   INTEGER NOT NULL UNIQUE,
    root_id    INTEGER NOT NULL,
    trash_id   INTEGER NOT NULL,
    quota      INTEGER NOT NULL, -- bytes; 0: no limit
    used       INTEGER NOT NULL CHECK (used >= 0),
    seq        INTEGER NOT NULL, -- of the last change
    created_at INTEGER NOT NULL
);

CREATE TABLE nodes (
    id            INTEGER NOT NULL PRIMARY KEY,
    drive_id      INTEGER NOT NULL,
    parent_id     INTEGER NOT NULL, -- 0: a drive's root or trash; -1: waits to be purged
    name          TEXT    NOT NULL,
    kind          INTEGER NOT NULL, -- 1 folder, 2 file, 3 a drive's trash
    sort_key      BLOB    NOT NULL, -- collation key of the name
    size          INTEGER NOT NULL,
    digest        BLOB,
    sha256        BLOB, -- of the whole content, where it has one block
    version       INTEGER NOT NULL,
    rev           INTEGER NOT NULL, -- grows with every change that If-Match must see
    created_at    INTEGER NOT NULL,
    modified_at   INTEGER NOT NULL,
    trashed_at    INTEGER NOT NULL DEFAULT 0,
    origin_parent INTEGER NOT NULL DEFAULT 0, -- of a trash entry: the folder it was in,
    origin_path   TEXT    NOT NULL DEFAULT '' -- and its path
);
CREATE UNIQUE INDEX nodes_name ON nodes (parent_id, name);
CREATE INDEX nodes_by_name ON nodes (parent_id, kind, sort_key);
CREATE INDEX nodes_by_size ON nodes (parent_id, kind, size);
CREATE INDEX nodes_by_modified ON nodes (parent_id, kind, modified_at);
CREATE INDEX nodes_trash ON nodes (parent_id, trashed_at) WHERE trashed_at > 0;
CREATE INDEX nodes_drive ON nodes (drive_id);

CREATE TABLE versions (
    node_id    INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    drive_id   INTEGER NOT NULL,
    digest     BLOB    NOT NULL,
    size       INTEGER NOT NULL,
    sha256     BLOB,
    author_id  INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (node_id, version)
) WITHOUT ROWID;
CREATE INDEX versions_digest ON versions (digest, size);
CREATE INDEX versions_drive ON versions (drive_id, size);

-- Sums of the whole contents of blobs of several blocks; for clients that ask, never identity.
CREATE TABLE sums (
    digest BLOB NOT NULL PRIMARY KEY,
    sha256 BLOB NOT NULL,
    sha1   BLOB,
    md5    BLOB
) WITHOUT ROWID;

CREATE TABLE changes (
    drive_id INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    node_id  INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (drive_id, seq)
) WITHOUT ROWID;

-- What a request with an Idempotency-Key did.
CREATE TABLE requests (
    actor_id INTEGER NOT NULL,
    key      TEXT    NOT NULL,
    deed     BLOB    NOT NULL, -- stands for what was asked
    node_id  INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (actor_id, key)
) WITHOUT ROWID;
CREATE INDEX requests_at ON requests (at);

-- +goose Down
DROP TABLE requests;
DROP TABLE changes;
DROP TABLE sums;
DROP TABLE versions;
DROP TABLE nodes;
DROP TABLE drives;
DROP TABLE refresh_tokens;
DROP TABLE sessions;
DROP TABLE users;
DROP TABLE sequences;
DROP TABLE compatibility;

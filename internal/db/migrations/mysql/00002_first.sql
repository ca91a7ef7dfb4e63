-- +goose NO TRANSACTION
-- +goose Up
-- The tables that SQLite has at the same version, whose steps say what each is for. MySQL commits every statement that
-- changes the schema by itself, so each statement here can be run again: a step that was cut off is made once more from
-- its start. Text is compared byte by byte, spaces at its end included, as SQLite does (utf8mb4_0900_bin).

CREATE TABLE IF NOT EXISTS compatibility (
    oldest BIGINT NOT NULL PRIMARY KEY
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
INSERT IGNORE INTO compatibility (oldest) VALUES (1);

CREATE TABLE IF NOT EXISTS sequences (
    name VARCHAR(64) NOT NULL PRIMARY KEY,
    next BIGINT      NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

-- Rows to be locked by transactions that exclude one another, where no row of theirs stands for that.
CREATE TABLE IF NOT EXISTS gates (
    name VARCHAR(64) NOT NULL PRIMARY KEY
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
INSERT IGNORE INTO gates (name) VALUES ('condemn');

-- user -------------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS users (
    id            BIGINT       NOT NULL PRIMARY KEY,
    login         VARCHAR(255) NOT NULL,
    password_hash VARCHAR(255) NOT NULL,
    role          VARCHAR(16)  NOT NULL CHECK (role IN ('admin', 'user')),
    disabled_at   BIGINT       NOT NULL DEFAULT 0,
    created_at    BIGINT       NOT NULL,
    UNIQUE KEY users_login (login)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS sessions (
    id          BIGINT        NOT NULL PRIMARY KEY,
    user_id     BIGINT        NOT NULL,
    cookie_hash VARBINARY(32),
    client      VARCHAR(1024) NOT NULL DEFAULT '',
    created_at  BIGINT        NOT NULL,
    expires_at  BIGINT        NOT NULL,
    revoked_at  BIGINT        NOT NULL DEFAULT 0,
    UNIQUE KEY sessions_cookie (cookie_hash),
    KEY sessions_user (user_id),
    CONSTRAINT sessions_of_user FOREIGN KEY (user_id) REFERENCES users (id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS refresh_tokens (
    hash       VARBINARY(32) NOT NULL PRIMARY KEY,
    session_id BIGINT        NOT NULL,
    expires_at BIGINT        NOT NULL,
    used_at    BIGINT        NOT NULL DEFAULT 0,
    KEY refresh_tokens_session (session_id),
    CONSTRAINT refresh_tokens_of_session FOREIGN KEY (session_id) REFERENCES sessions (id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

-- filemeta ---------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS drives (
    id         BIGINT NOT NULL PRIMARY KEY,
    owner_id   BIGINT NOT NULL,
    root_id    BIGINT NOT NULL,
    trash_id   BIGINT NOT NULL,
    quota      BIGINT NOT NULL,
    used       BIGINT NOT NULL CHECK (used >= 0),
    seq        BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    reserved   BIGINT NOT NULL DEFAULT 0,
    UNIQUE KEY drives_owner (owner_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS nodes (
    id            BIGINT         NOT NULL PRIMARY KEY,
    drive_id      BIGINT         NOT NULL,
    parent_id     BIGINT         NOT NULL,
    name          VARCHAR(255)   NOT NULL,
    kind          INT            NOT NULL,
    sort_key      VARBINARY(160) NOT NULL,
    size          BIGINT         NOT NULL,
    digest        VARBINARY(32),
    sha256        VARBINARY(32),
    version       BIGINT         NOT NULL,
    rev           BIGINT         NOT NULL,
    created_at    BIGINT         NOT NULL,
    modified_at   BIGINT         NOT NULL,
    trashed_at    BIGINT         NOT NULL DEFAULT 0,
    origin_parent BIGINT         NOT NULL DEFAULT 0,
    origin_path   VARCHAR(4096)  NOT NULL DEFAULT '',
    UNIQUE KEY nodes_name (parent_id, name),
    KEY nodes_by_name (parent_id, kind, sort_key),
    KEY nodes_by_size (parent_id, kind, size),
    KEY nodes_by_modified (parent_id, kind, modified_at),
    KEY nodes_trash (parent_id, trashed_at),
    KEY nodes_drive (drive_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS versions (
    node_id    BIGINT        NOT NULL,
    version    BIGINT        NOT NULL,
    drive_id   BIGINT        NOT NULL,
    digest     VARBINARY(32) NOT NULL,
    size       BIGINT        NOT NULL,
    sha256     VARBINARY(32),
    author_id  BIGINT        NOT NULL,
    created_at BIGINT        NOT NULL,
    PRIMARY KEY (node_id, version),
    KEY versions_content (digest, size, drive_id),
    KEY versions_drive (drive_id, size)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS sums (
    digest VARBINARY(32) NOT NULL PRIMARY KEY,
    sha256 VARBINARY(32) NOT NULL,
    sha1   VARBINARY(20),
    md5    VARBINARY(16)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS changes (
    drive_id BIGINT      NOT NULL,
    seq      BIGINT      NOT NULL,
    node_id  BIGINT      NOT NULL,
    kind     VARCHAR(16) NOT NULL,
    at       BIGINT      NOT NULL,
    PRIMARY KEY (drive_id, seq)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS requests (
    actor_id BIGINT        NOT NULL,
    `key`    VARCHAR(255)  NOT NULL,
    deed     VARBINARY(32) NOT NULL,
    node_id  BIGINT        NOT NULL,
    created  BIGINT        NOT NULL,
    at       BIGINT        NOT NULL,
    PRIMARY KEY (actor_id, `key`),
    KEY requests_at (at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS reservations (
    id         BIGINT        NOT NULL PRIMARY KEY,
    drive_id   BIGINT        NOT NULL,
    size       BIGINT        NOT NULL,
    digest     VARBINARY(32),
    actor_id   BIGINT        NOT NULL,
    `key`      VARCHAR(255)  NOT NULL DEFAULT '',
    deed       VARBINARY(32) NOT NULL,
    expires_at BIGINT        NOT NULL,
    created_at BIGINT        NOT NULL,
    -- MySQL has no partial indexes; a unique one leaves out what is NULL.
    once       VARCHAR(255) GENERATED ALWAYS AS (NULLIF(`key`, '')) VIRTUAL,
    KEY reservations_drive (drive_id),
    KEY reservations_digest (digest),
    KEY reservations_expiry (expires_at),
    UNIQUE KEY reservations_key (actor_id, once)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS condemned (
    digest   VARBINARY(32) NOT NULL,
    store    VARCHAR(255)  NOT NULL,
    put_at   BIGINT        NOT NULL,
    round    VARCHAR(255)  NOT NULL,
    rounds   BIGINT        NOT NULL,
    since    BIGINT        NOT NULL,
    deleting INT           NOT NULL DEFAULT 0,
    PRIMARY KEY (digest, store)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

-- +goose Down
DROP TABLE IF EXISTS condemned;
DROP TABLE IF EXISTS reservations;
DROP TABLE IF EXISTS requests;
DROP TABLE IF EXISTS changes;
DROP TABLE IF EXISTS sums;
DROP TABLE IF EXISTS versions;
DROP TABLE IF EXISTS nodes;
DROP TABLE IF EXISTS drives;
DROP TABLE IF EXISTS refresh_tokens;
DROP TABLE IF EXISTS sessions;
DROP TABLE IF EXISTS users;
DROP TABLE IF EXISTS gates;
DROP TABLE IF EXISTS sequences;
DROP TABLE IF EXISTS compatibility;

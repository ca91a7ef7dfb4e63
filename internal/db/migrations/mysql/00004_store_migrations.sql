-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS store_migrations (
    id         BIGINT       NOT NULL PRIMARY KEY,
    source     VARCHAR(255) NOT NULL,
    target     VARCHAR(255) NOT NULL,
    drive_id   BIGINT       NOT NULL,
    min_size   BIGINT       NOT NULL,
    max_size   BIGINT       NOT NULL,
    rate       BIGINT       NOT NULL,
    width      INT          NOT NULL,
    state      INT          NOT NULL,
    running    VARCHAR(64),
    created_at BIGINT       NOT NULL,
    ended_at   BIGINT       NOT NULL DEFAULT 0,
    UNIQUE KEY store_migrations_running (running)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS store_migration_parts (
    migration_id BIGINT         NOT NULL,
    part         INT            NOT NULL,
    holder       VARCHAR(64)    NOT NULL DEFAULT '',
    held_until   BIGINT         NOT NULL DEFAULT 0,
    done         INT            NOT NULL DEFAULT 0,
    last_digest  VARBINARY(32)  NOT NULL DEFAULT '',
    blobs        BIGINT         NOT NULL DEFAULT 0,
    bytes        BIGINT         NOT NULL DEFAULT 0,
    unused       BIGINT         NOT NULL DEFAULT 0,
    shared       BIGINT         NOT NULL DEFAULT 0,
    kept         BIGINT         NOT NULL DEFAULT 0,
    damaged      BIGINT         NOT NULL DEFAULT 0,
    problems     VARBINARY(16384) NOT NULL DEFAULT '',
    error        VARCHAR(1000)  NOT NULL DEFAULT '',
    PRIMARY KEY (migration_id, part)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

-- +goose Down
DROP TABLE IF EXISTS store_migration_parts;
DROP TABLE IF EXISTS store_migrations;

-- +goose NO TRANSACTION
-- +goose Up
-- MySQL has no ADD COLUMN IF NOT EXISTS, so the statement is made up by what is there.

SET @step = (SELECT IF(COUNT(*) > 0, 'DO 0', 'ALTER TABLE users
    ADD COLUMN name        VARCHAR(255) NOT NULL DEFAULT '''',
    ADD COLUMN phone       VARCHAR(32),
    ADD COLUMN totp_secret VARBINARY(255),
    ADD COLUMN totp_on     BIGINT       NOT NULL DEFAULT 0,
    ADD COLUMN totp_step   BIGINT       NOT NULL DEFAULT 0,
    ADD COLUMN erase_at    BIGINT       NOT NULL DEFAULT 0,
    ADD UNIQUE KEY users_phone (phone),
    ADD KEY users_erase (erase_at)')
    FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'users' AND column_name = 'erase_at');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;

SET @step = (SELECT IF(COUNT(*) > 0, 'DO 0', 'ALTER TABLE sessions
    ADD COLUMN name    VARCHAR(255) NOT NULL DEFAULT '''',
    ADD COLUMN address VARCHAR(64)  NOT NULL DEFAULT '''',
    ADD COLUMN seen_at BIGINT       NOT NULL DEFAULT 0')
    FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'sessions' AND column_name = 'seen_at');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;

CREATE TABLE IF NOT EXISTS identities (
    provider  VARCHAR(64)  NOT NULL,
    subject   VARCHAR(255) NOT NULL,
    user_id   BIGINT       NOT NULL,
    login     VARCHAR(255) NOT NULL,
    linked_at BIGINT       NOT NULL,
    PRIMARY KEY (provider, subject),
    UNIQUE KEY identities_user (user_id, provider),
    CONSTRAINT identities_of_user FOREIGN KEY (user_id) REFERENCES users (id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS recovery_codes (
    hash    VARBINARY(32) NOT NULL PRIMARY KEY,
    user_id BIGINT        NOT NULL,
    KEY recovery_codes_user (user_id),
    CONSTRAINT recovery_codes_of_user FOREIGN KEY (user_id) REFERENCES users (id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS passkeys (
    id         BIGINT          NOT NULL PRIMARY KEY,
    user_id    BIGINT          NOT NULL,
    credential VARBINARY(1023) NOT NULL,
    data       TEXT            NOT NULL,
    name       VARCHAR(255)    NOT NULL,
    created_at BIGINT          NOT NULL,
    used_at    BIGINT          NOT NULL DEFAULT 0,
    UNIQUE KEY passkeys_credential (credential),
    KEY passkeys_user (user_id),
    CONSTRAINT passkeys_of_user FOREIGN KEY (user_id) REFERENCES users (id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS access_keys (
    id         BIGINT        NOT NULL PRIMARY KEY,
    user_id    BIGINT        NOT NULL,
    hash       VARBINARY(32) NOT NULL,
    kind       VARCHAR(16)   NOT NULL CHECK (kind IN ('app', 'token')),
    name       VARCHAR(255)  NOT NULL,
    read_only  INT           NOT NULL,
    folder_id  BIGINT        NOT NULL,
    created_at BIGINT        NOT NULL,
    expires_at BIGINT        NOT NULL,
    used_at    BIGINT        NOT NULL DEFAULT 0,
    revoked_at BIGINT        NOT NULL DEFAULT 0,
    UNIQUE KEY access_keys_hash (hash),
    KEY access_keys_user (user_id),
    CONSTRAINT access_keys_of_user FOREIGN KEY (user_id) REFERENCES users (id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS one_time_links (
    id         BIGINT        NOT NULL PRIMARY KEY,
    hash       VARBINARY(32) NOT NULL,
    purpose    VARCHAR(16)   NOT NULL CHECK (purpose IN ('invite', 'reset')),
    user_id    BIGINT        NOT NULL,
    role       VARCHAR(16)   NOT NULL,
    note       VARCHAR(255)  NOT NULL,
    created_at BIGINT        NOT NULL,
    expires_at BIGINT        NOT NULL,
    used_at    BIGINT        NOT NULL DEFAULT 0,
    UNIQUE KEY one_time_links_hash (hash)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS user_groups (
    id         BIGINT       NOT NULL PRIMARY KEY,
    name       VARCHAR(255) NOT NULL,
    created_at BIGINT       NOT NULL,
    UNIQUE KEY user_groups_name (name)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS user_group_members (
    group_id BIGINT NOT NULL,
    user_id  BIGINT NOT NULL,
    PRIMARY KEY (group_id, user_id),
    KEY user_group_members_user (user_id),
    CONSTRAINT members_of_group FOREIGN KEY (group_id) REFERENCES user_groups (id),
    CONSTRAINT members_are_users FOREIGN KEY (user_id) REFERENCES users (id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS account_policy (
    name  VARCHAR(64)  NOT NULL PRIMARY KEY,
    value VARCHAR(255) NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

-- Append-only by the program alone: a trigger would need a right that an application's account should not have.
CREATE TABLE IF NOT EXISTS audit (
    id       BIGINT        NOT NULL PRIMARY KEY,
    at       BIGINT        NOT NULL,
    action   VARCHAR(64)   NOT NULL,
    actor_id BIGINT        NOT NULL,
    user_id  BIGINT        NOT NULL,
    object   VARCHAR(255)  NOT NULL,
    address  VARCHAR(64)   NOT NULL,
    detail   VARCHAR(1024) NOT NULL,
    KEY audit_at (at, id),
    KEY audit_actor (actor_id, at, id),
    KEY audit_user (user_id, at, id),
    KEY audit_action (action, at, id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

-- +goose Down
DROP TABLE IF EXISTS audit;
DROP TABLE IF EXISTS account_policy;
DROP TABLE IF EXISTS user_group_members;
DROP TABLE IF EXISTS user_groups;
DROP TABLE IF EXISTS one_time_links;
DROP TABLE IF EXISTS access_keys;
DROP TABLE IF EXISTS passkeys;
DROP TABLE IF EXISTS recovery_codes;
DROP TABLE IF EXISTS identities;
ALTER TABLE sessions DROP COLUMN seen_at, DROP COLUMN address, DROP COLUMN name;
ALTER TABLE users DROP KEY users_erase, DROP KEY users_phone, DROP COLUMN erase_at, DROP COLUMN totp_step,
    DROP COLUMN totp_on, DROP COLUMN totp_secret, DROP COLUMN phone, DROP COLUMN name;

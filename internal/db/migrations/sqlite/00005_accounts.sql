-- +goose Up
-- The release before works on this schema: it knows logins and passwords alone, and leaves the rest as it is.

-- user -------------------------------------------------------------------------------------------------------

ALTER TABLE users ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN phone TEXT; -- E.164
ALTER TABLE users ADD COLUMN totp_secret BLOB; -- sealed with a key of the installation
ALTER TABLE users ADD COLUMN totp_on INTEGER NOT NULL DEFAULT 0; -- since when it is asked for; 0: it is not
ALTER TABLE users ADD COLUMN totp_step INTEGER NOT NULL DEFAULT 0; -- the last 30 seconds whose code was used
ALTER TABLE users ADD COLUMN erase_at INTEGER NOT NULL DEFAULT 0; -- a deleted account, which is disabled too; 0: it is not
CREATE UNIQUE INDEX users_phone ON users (phone);
CREATE INDEX users_erase ON users (erase_at) WHERE erase_at > 0;

ALTER TABLE sessions ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN seen_at INTEGER NOT NULL DEFAULT 0;

-- Accounts at other sites. The subject is the site's own lasting id, never a name or an address.
CREATE TABLE identities (
    provider  TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    user_id   INTEGER NOT NULL REFERENCES users (id),
    login     TEXT    NOT NULL,
    linked_at INTEGER NOT NULL,
    PRIMARY KEY (provider, subject)
) WITHOUT ROWID;
CREATE UNIQUE INDEX identities_user ON identities (user_id, provider);

CREATE TABLE recovery_codes (
    hash    BLOB    NOT NULL PRIMARY KEY, -- of user and code
    user_id INTEGER NOT NULL REFERENCES users (id)
) WITHOUT ROWID;
CREATE INDEX recovery_codes_user ON recovery_codes (user_id);

CREATE TABLE passkeys (
    id         INTEGER NOT NULL PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES users (id),
    credential BLOB    NOT NULL UNIQUE, -- its id
    data       TEXT    NOT NULL, -- the public key and what belongs to it, as JSON
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX passkeys_user ON passkeys (user_id);

-- App passwords and personal access tokens.
CREATE TABLE access_keys (
    id         INTEGER NOT NULL PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES users (id),
    hash       BLOB    NOT NULL UNIQUE, -- SHA-256; the secret has more than 128 random bits
    kind       TEXT    NOT NULL CHECK (kind IN ('app', 'token')),
    name       TEXT    NOT NULL,
    read_only  INTEGER NOT NULL,
    folder_id  INTEGER NOT NULL, -- 0: the whole drive
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL, -- 0: never
    used_at    INTEGER NOT NULL DEFAULT 0,
    revoked_at INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX access_keys_user ON access_keys (user_id);

-- What works once: invitations, and links by which a password is set.
CREATE TABLE one_time_links (
    id         INTEGER NOT NULL PRIMARY KEY,
    hash       BLOB    NOT NULL UNIQUE,
    purpose    TEXT    NOT NULL CHECK (purpose IN ('invite', 'reset')),
    user_id    INTEGER NOT NULL, -- whose password; for an invitation the account that came of it, 0 before
    role       TEXT    NOT NULL, -- of the account to come
    note       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE user_groups (
    id         INTEGER NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
);

CREATE TABLE user_group_members (
    group_id INTEGER NOT NULL REFERENCES user_groups (id),
    user_id  INTEGER NOT NULL REFERENCES users (id),
    PRIMARY KEY (group_id, user_id)
) WITHOUT ROWID;
CREATE INDEX user_group_members_user ON user_group_members (user_id);

-- What an administrator decides for all accounts, while the drive runs.
CREATE TABLE account_policy (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- The audit log. Nothing in it is ever changed.
CREATE TABLE audit (
    id       INTEGER NOT NULL PRIMARY KEY,
    at       INTEGER NOT NULL,
    action   TEXT    NOT NULL,
    actor_id INTEGER NOT NULL, -- 0: nobody was signed in
    user_id  INTEGER NOT NULL, -- the account that it is about; 0: none
    object   TEXT    NOT NULL,
    address  TEXT    NOT NULL,
    detail   TEXT    NOT NULL
);
CREATE INDEX audit_at ON audit (at, id);
CREATE INDEX audit_actor ON audit (actor_id, at, id);
CREATE INDEX audit_user ON audit (user_id, at, id);
CREATE INDEX audit_action ON audit (action, at, id);

-- +goose StatementBegin
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id) BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
-- +goose StatementEnd

-- +goose Down
DROP TABLE audit;
DROP TABLE account_policy;
DROP TABLE user_group_members;
DROP TABLE user_groups;
DROP TABLE one_time_links;
DROP TABLE access_keys;
DROP TABLE passkeys;
DROP TABLE recovery_codes;
DROP TABLE identities;
ALTER TABLE sessions DROP COLUMN seen_at;
ALTER TABLE sessions DROP COLUMN address;
ALTER TABLE sessions DROP COLUMN name;
DROP INDEX users_erase;
DROP INDEX users_phone;
ALTER TABLE users DROP COLUMN erase_at;
ALTER TABLE users DROP COLUMN totp_step;
ALTER TABLE users DROP COLUMN totp_on;
ALTER TABLE users DROP COLUMN totp_secret;
ALTER TABLE users DROP COLUMN phone;
ALTER TABLE users DROP COLUMN name;

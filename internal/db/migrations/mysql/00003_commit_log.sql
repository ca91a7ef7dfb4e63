-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS applied (
    id      VARCHAR(64) NOT NULL PRIMARY KEY,
    kind    INT         NOT NULL,
    code    VARCHAR(64) NOT NULL,
    field   VARCHAR(64) NOT NULL,
    node_id BIGINT      NOT NULL,
    created INT         NOT NULL,
    at      BIGINT      NOT NULL,
    KEY applied_at (at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE TABLE IF NOT EXISTS log_positions (
    topic VARCHAR(255) NOT NULL,
    part  INT          NOT NULL,
    next  BIGINT       NOT NULL,
    PRIMARY KEY (topic, part)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

-- +goose Down
DROP TABLE IF EXISTS log_positions;
DROP TABLE IF EXISTS applied;

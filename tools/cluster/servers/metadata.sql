-- What MySQL Router reads of an InnoDB Cluster's metadata (version 2.2), for a group of fixed members. MySQL Shell
-- writes the whole of it.
CREATE DATABASE IF NOT EXISTS mysql_innodb_cluster_metadata CHARACTER SET utf8mb4;
USE mysql_innodb_cluster_metadata;

CREATE OR REPLACE VIEW schema_version (major, minor, patch) AS SELECT 2, 2, 0;

CREATE TABLE IF NOT EXISTS v2_gr_clusters (
    cluster_id   CHAR(36) CHARACTER SET ascii NOT NULL PRIMARY KEY,
    cluster_name VARCHAR(63) NOT NULL,
    cluster_type VARCHAR(4) NOT NULL DEFAULT 'gr',
    group_name   CHAR(36) CHARACTER SET ascii NOT NULL,
    primary_mode VARCHAR(2) NOT NULL DEFAULT 'pm',
    attributes   JSON,
    router_options JSON
);
REPLACE INTO v2_gr_clusters (cluster_id, cluster_name, group_name, attributes, router_options)
VALUES (@@group_replication_group_name, 'gopan', @@group_replication_group_name, '{}', '{}');

CREATE OR REPLACE VIEW v2_clusters AS SELECT cluster_id, cluster_name, cluster_type, group_name, primary_mode FROM v2_gr_clusters;
CREATE OR REPLACE VIEW clusters AS SELECT * FROM v2_gr_clusters;

CREATE TABLE IF NOT EXISTS v2_instances (
    instance_id       INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    cluster_id        CHAR(36) CHARACTER SET ascii NOT NULL,
    label             VARCHAR(255) NOT NULL,
    mysql_server_uuid CHAR(36) CHARACTER SET ascii NOT NULL UNIQUE,
    address           VARCHAR(265) CHARACTER SET ascii NOT NULL,
    endpoint          VARCHAR(265) CHARACTER SET ascii NOT NULL,
    xendpoint         VARCHAR(265) CHARACTER SET ascii,
    attributes        JSON
);
INSERT INTO v2_instances (cluster_id, label, mysql_server_uuid, address, endpoint, attributes)
SELECT @@group_replication_group_name, a, id, a, a, '{}'
FROM (SELECT member_id AS id, CONCAT(member_host, ':', member_port) AS a FROM performance_schema.replication_group_members) AS member
ON DUPLICATE KEY UPDATE label = a, address = a, endpoint = a;

CREATE OR REPLACE SQL SECURITY INVOKER VIEW v2_this_instance AS
SELECT i.cluster_id, i.instance_id, c.cluster_name, c.cluster_type
FROM v2_gr_clusters c JOIN v2_instances i ON c.cluster_id = i.cluster_id
WHERE i.mysql_server_uuid = CONVERT((SELECT variable_value FROM performance_schema.global_variables WHERE variable_name = 'server_uuid') USING ascii);

-- No set of clusters, and no replica sets.
CREATE TABLE IF NOT EXISTS v2_cs_members (
    clusterset_id CHAR(36) CHARACTER SET ascii NOT NULL PRIMARY KEY,
    cluster_id CHAR(36) CHARACTER SET ascii, member_role VARCHAR(20), invalidated TINYINT
);
CREATE TABLE IF NOT EXISTS v2_cs_clustersets (
    clusterset_id CHAR(36) CHARACTER SET ascii NOT NULL PRIMARY KEY, domain_name VARCHAR(63), router_options JSON, view_id INT
);
CREATE OR REPLACE VIEW clustersets AS SELECT * FROM v2_cs_clustersets;
CREATE TABLE IF NOT EXISTS v2_routers (
    router_id     INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    router_name   VARCHAR(265) NOT NULL, product_name VARCHAR(128) NOT NULL, address VARCHAR(256) NOT NULL,
    version       VARCHAR(12), last_check_in TIMESTAMP NULL, attributes JSON, options JSON,
    cluster_id    CHAR(36) CHARACTER SET ascii, clusterset_id CHAR(36) CHARACTER SET ascii
);
INSERT IGNORE INTO v2_routers (router_id, router_name, product_name, address, attributes, cluster_id)
VALUES (1, 'gopan', 'MySQL Router', '127.0.0.1', '{}', @@group_replication_group_name);
CREATE OR REPLACE VIEW v2_router_options AS
SELECT router_id, cluster_id, clusterset_id, options AS router_options FROM v2_routers;
CREATE TABLE IF NOT EXISTS router_stats (router_id INT UNSIGNED NOT NULL PRIMARY KEY, last_check_in TIMESTAMP NULL);
CREATE TABLE IF NOT EXISTS routing_guidelines (
    guideline_id CHAR(36) CHARACTER SET ascii NOT NULL PRIMARY KEY, guideline JSON
);

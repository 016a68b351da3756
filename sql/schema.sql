-- The schema of the chat database, for MySQL and MariaDB, to load by hand:
--
--     mysql -e 'CREATE DATABASE chat CHARACTER SET utf8mb4 COLLATE utf8mb4_bin'
--     mysql chat < sql/schema.sql
--
-- It can be loaded again without harm. The server applies the same by itself
-- at its first start if its account may create tables.

SET NAMES utf8mb4;

-- `password` holds an Argon2id hash. The claim says which server holds the
-- user's login, in which of that server's lives, and for which login.
CREATE TABLE IF NOT EXISTS `User` (
    `id` INT NOT NULL AUTO_INCREMENT,
    `name` VARCHAR(50) NOT NULL,
    `password` VARCHAR(255) NOT NULL,
    `state` ENUM('online','offline') NOT NULL DEFAULT 'offline',
    `claim_server` VARCHAR(255) DEFAULT NULL,
    `claim_epoch` BIGINT DEFAULT NULL,
    `claim_number` BIGINT DEFAULT NULL,
    PRIMARY KEY (`id`),
    UNIQUE KEY `User_name` (`name`),
    KEY `User_claim` (`claim_server`, `claim_epoch`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- One row for each side of a friendship.
CREATE TABLE IF NOT EXISTS `Friend` (
    `userid` INT NOT NULL,
    `friendid` INT NOT NULL,
    PRIMARY KEY (`userid`, `friendid`),
    KEY `Friend_reverse` (`friendid`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS `AllGroup` (
    `id` INT NOT NULL AUTO_INCREMENT,
    `groupname` VARCHAR(50) NOT NULL,
    `groupdesc` VARCHAR(200) NOT NULL DEFAULT '',
    PRIMARY KEY (`id`),
    UNIQUE KEY `AllGroup_groupname` (`groupname`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS `GroupUser` (
    `groupid` INT NOT NULL,
    `userid` INT NOT NULL,
    `grouprole` ENUM('creator','normal') NOT NULL DEFAULT 'normal',
    PRIMARY KEY (`groupid`, `userid`),
    KEY `GroupUser_userid` (`userid`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- One row for each message that waits for `userid`; `mid` is the sender's own
-- id of it. No foreign key: its check would hold up a login's UPDATE of `User`.
CREATE TABLE IF NOT EXISTS `OfflineMessage` (
    `id` BIGINT NOT NULL AUTO_INCREMENT,
    `userid` INT NOT NULL,
    `sender` INT NOT NULL,
    `mid` VARBINARY(64) NOT NULL,
    `message` MEDIUMTEXT NOT NULL,
    `stored` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (`id`),
    UNIQUE KEY `OfflineMessage_mid` (`userid`, `sender`, `mid`),
    KEY `OfflineMessage_page` (`userid`, `id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- For tables of an earlier version, which lack that column.
SET @step = IF((SELECT COUNT(*) FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'OfflineMessage'
    AND column_name = 'stored') = 0,
    'ALTER TABLE `OfflineMessage` ADD COLUMN
    `stored` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP', 'DO 0');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;

-- One row for each chat server; `beat` rises while it lives.
CREATE TABLE IF NOT EXISTS `Server` (
    `id` VARCHAR(255) NOT NULL,
    `epoch` BIGINT NOT NULL,
    `beat` BIGINT NOT NULL,
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- One row for each login that may be resumed: the SHA-256 of its token, and
-- the second since 1970, by the database's clock, in which its life ends.
CREATE TABLE IF NOT EXISTS `LoginToken` (
    `id` BIGINT NOT NULL AUTO_INCREMENT,
    `userid` INT NOT NULL,
    `hash` BINARY(32) NOT NULL,
    `expires` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    UNIQUE KEY `LoginToken_hash` (`hash`),
    KEY `LoginToken_userid` (`userid`),
    KEY `LoginToken_expires` (`expires`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Which steps of the schema this database has.
CREATE TABLE IF NOT EXISTS `SchemaMigration` (
    `number` INT NOT NULL,
    `applied` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (`number`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

INSERT IGNORE INTO `SchemaMigration` (`number`) VALUES (1), (2), (3);

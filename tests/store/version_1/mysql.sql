-- A MySQL database as version 1 of the schema made it, with somebody in it.
-- Never changed: what it stands for is out there.

SET NAMES utf8mb4;

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

CREATE TABLE IF NOT EXISTS `OfflineMessage` (
    `id` BIGINT NOT NULL AUTO_INCREMENT,
    `userid` INT NOT NULL,
    `sender` INT NOT NULL,
    `mid` VARBINARY(64) NOT NULL,
    `message` MEDIUMTEXT NOT NULL,
    PRIMARY KEY (`id`),
    UNIQUE KEY `OfflineMessage_mid` (`userid`, `sender`, `mid`),
    KEY `OfflineMessage_page` (`userid`, `id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS `Server` (
    `id` VARCHAR(255) NOT NULL,
    `epoch` BIGINT NOT NULL,
    `beat` BIGINT NOT NULL,
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS `SchemaMigration` (
    `number` INT NOT NULL,
    `applied` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (`number`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

INSERT IGNORE INTO `SchemaMigration` (`number`) VALUES (1);

INSERT INTO `User` (`id`, `name`, `password`, `state`, `claim_server`, `claim_epoch`, `claim_number`) VALUES
    (1, 'alice', '$argon2id$1', 'online', 'one:6000', 5, 7),
    (2, 'bob', '$argon2id$2', 'offline', NULL, NULL, NULL);
INSERT INTO `Friend` (`userid`, `friendid`) VALUES (1, 2), (2, 1);
INSERT INTO `AllGroup` (`id`, `groupname`, `groupdesc`) VALUES (1, 'rust', 'a language');
INSERT INTO `GroupUser` (`groupid`, `userid`, `grouprole`) VALUES (1, 1, 'creator'), (1, 2, 'normal');
INSERT INTO `OfflineMessage` (`id`, `userid`, `sender`, `mid`, `message`) VALUES (1, 2, 1, 'm', 'hello');
INSERT INTO `Server` (`id`, `epoch`, `beat`) VALUES ('one:6000', 5, 3);

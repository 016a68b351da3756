-- An SQLite file as version 1 of the schema made it, with somebody in it.
-- Never changed: what it stands for is out there.

CREATE TABLE IF NOT EXISTS SchemaMigration (
    number INTEGER PRIMARY KEY,
    applied TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) STRICT;
CREATE TABLE User (
    id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id BETWEEN 1 AND 2147483647),
    name TEXT NOT NULL UNIQUE CHECK (length(name) <= 50),
    password TEXT NOT NULL CHECK (length(password) <= 255),
    state TEXT NOT NULL DEFAULT 'offline' CHECK (state IN ('online', 'offline')),
    claim_server TEXT CHECK (length(claim_server) <= 255),
    claim_epoch INTEGER,
    claim_number INTEGER
) STRICT;
CREATE INDEX User_claim ON User (claim_server, claim_epoch);
CREATE TABLE Friend (
    userid INTEGER NOT NULL,
    friendid INTEGER NOT NULL,
    PRIMARY KEY (userid, friendid)
) STRICT, WITHOUT ROWID;
CREATE INDEX Friend_reverse ON Friend (friendid);
CREATE TABLE AllGroup (
    id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id BETWEEN 1 AND 2147483647),
    groupname TEXT NOT NULL UNIQUE CHECK (length(groupname) <= 50),
    groupdesc TEXT NOT NULL DEFAULT '' CHECK (length(groupdesc) <= 200)
) STRICT;
CREATE TABLE GroupUser (
    groupid INTEGER NOT NULL,
    userid INTEGER NOT NULL,
    grouprole TEXT NOT NULL DEFAULT 'normal' CHECK (grouprole IN ('creator', 'normal')),
    PRIMARY KEY (groupid, userid)
) STRICT, WITHOUT ROWID;
CREATE INDEX GroupUser_userid ON GroupUser (userid);
CREATE TABLE OfflineMessage (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    userid INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    mid BLOB NOT NULL CHECK (length(mid) <= 64),
    message TEXT NOT NULL,
    UNIQUE (userid, sender, mid)
) STRICT;
CREATE INDEX OfflineMessage_page ON OfflineMessage (userid, id);
CREATE TABLE Server (
    id TEXT PRIMARY KEY CHECK (length(id) <= 255),
    epoch INTEGER NOT NULL,
    beat INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO SchemaMigration (number) VALUES (1);

INSERT INTO User (id, name, password, state, claim_server, claim_epoch, claim_number) VALUES
    (1, 'alice', '$argon2id$1', 'online', 'one:6000', 5, 7),
    (2, 'bob', '$argon2id$2', 'offline', NULL, NULL, NULL);
INSERT INTO Friend (userid, friendid) VALUES (1, 2), (2, 1);
INSERT INTO AllGroup (id, groupname, groupdesc) VALUES (1, 'rust', 'a language');
INSERT INTO GroupUser (groupid, userid, grouprole) VALUES (1, 1, 'creator'), (1, 2, 'normal');
INSERT INTO OfflineMessage (id, userid, sender, mid, message) VALUES (1, 2, 1, x'6d', 'hello');
INSERT INTO Server (id, epoch, beat) VALUES ('one:6000', 5, 3);

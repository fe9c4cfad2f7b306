-- What alerting needs beside the first form: silences, acknowledgements, how subjects come and go, how rules fare, channels
-- that rest, and notices that go out in groups.

-- How subjects without a living alert came and went lately, by fingerprint.
ALTER TABLE target ADD COLUMN flaps TEXT NOT NULL DEFAULT '{}';

-- CRC-32 of the row: an alert that a disk has changed is not believed. Rows of the first form have none.
ALTER TABLE alert ADD COLUMN sum INTEGER;

CREATE TABLE silence (
    id       TEXT PRIMARY KEY,
    ends_at  INTEGER NOT NULL,
    ended_at INTEGER,                        -- before its time
    body     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX silence_by_end ON silence (ends_at);

-- Of living episodes; who said it stays in `choice`.
CREATE TABLE ack (
    target      TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    body        TEXT NOT NULL,
    PRIMARY KEY (target, fingerprint)
) STRICT, WITHOUT ROWID;

-- How a rule ended, each time that it ended otherwise than before.
CREATE TABLE ruling (
    id     INTEGER PRIMARY KEY,
    target TEXT NOT NULL,
    rule   TEXT NOT NULL,
    at     INTEGER NOT NULL,
    body   TEXT NOT NULL
) STRICT;
CREATE INDEX ruling_by_rule ON ruling (target, rule, id);
CREATE INDEX ruling_by_age ON ruling (at);

-- How a channel fares: what is left of its rate, since when it rests and why.
CREATE TABLE channel (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- When things were last done that are done now and then: `heartbeat`.
CREATE TABLE mark (
    name TEXT PRIMARY KEY,
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A table's checks cannot be changed: it is made anew. `collapsed`: a later notice made it needless before it was told.
-- `handed`: its channel could not be reached, and another was told instead.
CREATE TABLE outbox_2 (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    key         TEXT NOT NULL UNIQUE,
    target      TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    episode     TEXT NOT NULL,
    channel     TEXT NOT NULL,
    kind        TEXT NOT NULL,
    severity    TEXT NOT NULL,
    grp         TEXT NOT NULL DEFAULT '',    -- what it goes out with; empty: alone
    queued_at   INTEGER NOT NULL,
    state       TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead', 'collapsed', 'handed')),
    due_at      INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    owner        TEXT,                       -- who is sending it, and from when until when
    leased_at    INTEGER,
    leased_until INTEGER,
    finished_at INTEGER,
    receipt     TEXT,
    handle      TEXT,                        -- by which the channel finds what it sent, to reply to it or to change it
    error       TEXT,                        -- of the latest attempt that failed
    body        TEXT NOT NULL                -- last, since it is long and the others are read without it
) STRICT;
INSERT INTO outbox_2 (id, key, target, fingerprint, episode, channel, kind, severity, queued_at, state, due_at, attempts, owner,
                      leased_at, leased_until, finished_at, receipt, error, body)
SELECT id, key, target, fingerprint, episode, channel, kind, severity, queued_at, state, due_at, attempts, owner,
       leased_at, leased_until, finished_at, receipt, error, body FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_2 RENAME TO outbox;
CREATE INDEX outbox_waiting ON outbox (channel, grp, attempts, id, due_at) WHERE state = 'waiting';
CREATE INDEX outbox_order ON outbox (episode, channel, id);
CREATE INDEX outbox_by_alert ON outbox (fingerprint, id);
CREATE INDEX outbox_by_channel ON outbox (channel, state, queued_at); -- counts, without reading bodies
CREATE INDEX outbox_by_age ON outbox (finished_at) WHERE state <> 'waiting';
CREATE INDEX outbox_by_group ON outbox (channel, grp, state, finished_at) WHERE grp <> '';

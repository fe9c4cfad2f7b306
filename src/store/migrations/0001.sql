-- Times are microseconds since the epoch (UTC). Bodies are JSON of the model's types; a reading's is gzipped.

CREATE TABLE target (
    name         TEXT PRIMARY KEY,
    version      INTEGER NOT NULL DEFAULT 0,  -- of its book: counts commits
    rules        TEXT NOT NULL DEFAULT '{}',  -- health of its rules
    last_tick    INTEGER,
    last_tick_at INTEGER
) STRICT, WITHOUT ROWID;

-- One process at a time looks after a target.
CREATE TABLE lease (
    target   TEXT PRIMARY KEY,
    owner    TEXT NOT NULL,
    taken_at INTEGER NOT NULL,
    until_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One turn of the flow. `head` is the snapshot without its collected frames; those are readings.
CREATE TABLE tick (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    target   TEXT NOT NULL,
    taken_at INTEGER NOT NULL,
    head     TEXT NOT NULL,
    outcomes TEXT NOT NULL
) STRICT;
CREATE INDEX tick_by_target ON tick (target, id);
CREATE INDEX tick_by_age ON tick (taken_at);

-- One frame as it was read once; ticks that carry it on refer to it.
CREATE TABLE reading (
    id     INTEGER PRIMARY KEY,
    target TEXT NOT NULL,
    frame  TEXT NOT NULL,
    as_of  INTEGER NOT NULL,
    body   BLOB NOT NULL,
    UNIQUE (target, frame, as_of)
) STRICT;

CREATE TABLE tick_reading (
    tick    INTEGER NOT NULL REFERENCES tick (id) ON DELETE CASCADE,
    reading INTEGER NOT NULL REFERENCES reading (id),
    PRIMARY KEY (tick, reading)
) STRICT, WITHOUT ROWID;
CREATE INDEX tick_reading_back ON tick_reading (reading);

-- The latest reading of each frame, which retention never takes.
CREATE TABLE newest (
    target  TEXT NOT NULL,
    frame   TEXT NOT NULL,
    reading INTEGER NOT NULL REFERENCES reading (id),
    PRIMARY KEY (target, frame)
) STRICT, WITHOUT ROWID;
CREATE INDEX newest_by_reading ON newest (reading);

-- Living alerts.
CREATE TABLE alert (
    target      TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    episode     TEXT NOT NULL,
    body        TEXT NOT NULL,
    PRIMARY KEY (target, fingerprint)
) STRICT;
CREATE INDEX alert_by_episode ON alert (episode);

-- History: state changes, choices about notices, advice.
CREATE TABLE transition (
    id          INTEGER PRIMARY KEY,
    target      TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    at          INTEGER NOT NULL,
    body        TEXT NOT NULL
) STRICT;
CREATE INDEX transition_by_alert ON transition (fingerprint, id);
CREATE INDEX transition_by_age ON transition (at);

CREATE TABLE choice (
    id          INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    channel     TEXT NOT NULL,               -- empty when it is about no channel
    at          INTEGER NOT NULL,
    body        TEXT NOT NULL
) STRICT;
CREATE INDEX choice_by_alert ON choice (fingerprint, channel, id);
CREATE INDEX choice_by_age ON choice (at);

CREATE TABLE proposal (
    id          INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    episode     TEXT NOT NULL,
    at          INTEGER NOT NULL,
    body        TEXT NOT NULL,
    UNIQUE (episode, body)
) STRICT;
CREATE INDEX proposal_by_alert ON proposal (fingerprint, id);
CREATE INDEX proposal_by_age ON proposal (at);

-- Notices, from the commit that decided them until long after they were told.
CREATE TABLE outbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    key         TEXT NOT NULL UNIQUE,
    target      TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    episode     TEXT NOT NULL,
    channel     TEXT NOT NULL,
    kind        TEXT NOT NULL,
    severity    TEXT NOT NULL,
    queued_at   INTEGER NOT NULL,
    state       TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
    due_at      INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    owner        TEXT,                       -- who is sending it, and from when until when
    leased_at    INTEGER,
    leased_until INTEGER,
    finished_at INTEGER,
    receipt     TEXT,
    error       TEXT,                        -- of the latest attempt that failed
    body        TEXT NOT NULL                -- last, since it is long and the others are read without it
) STRICT;
CREATE INDEX outbox_waiting ON outbox (channel, attempts, id) WHERE state = 'waiting';
CREATE INDEX outbox_order ON outbox (episode, channel, id);
CREATE INDEX outbox_by_alert ON outbox (fingerprint, id);
CREATE INDEX outbox_by_channel ON outbox (channel, state, queued_at); -- counts, without reading bodies
CREATE INDEX outbox_by_age ON outbox (finished_at) WHERE state <> 'waiting';

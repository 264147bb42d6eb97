-- Tables of heliolog. Readings are kept for ninety days, quarters of an hour for ever.

CREATE TABLE device (
    id          INTEGER PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE,
    roof        TEXT    NOT NULL,
    peak_watts  INTEGER NOT NULL CHECK (peak_watts > 0),
    installed   DATE    NOT NULL
);

CREATE TABLE reading (
    device_id   INTEGER   NOT NULL REFERENCES device (id),
    taken_at    TIMESTAMP NOT NULL,
    watts       INTEGER   NOT NULL,
    total_wh    BIGINT    NOT NULL,
    PRIMARY KEY (device_id, taken_at)
);

CREATE TABLE quarter (
    device_id   INTEGER   NOT NULL REFERENCES device (id),
    starts_at   TIMESTAMP NOT NULL,
    mean_watts  REAL      NOT NULL,
    readings    INTEGER   NOT NULL,
    PRIMARY KEY (device_id, starts_at)
);

-- Yield of each roof and day, in kWh, with the share of quarters that have data.
CREATE VIEW daily_yield AS
SELECT d.roof,
       DATE(q.starts_at)                      AS day,
       SUM(q.mean_watts) / 4 / 1000           AS kwh,
       COUNT(DISTINCT q.starts_at) / 96.0     AS coverage
FROM quarter q
JOIN device d ON d.id = q.device_id
GROUP BY d.roof, DATE(q.starts_at);

-- Devices that have not been heard of for two hours: the morning list for whoever has the key.
CREATE VIEW silent_device AS
SELECT d.name, d.roof, MAX(r.taken_at) AS last_reading
FROM device d
LEFT JOIN reading r ON r.device_id = d.id
GROUP BY d.id, d.name, d.roof
HAVING MAX(r.taken_at) IS NULL
    OR MAX(r.taken_at) < DATETIME('now', '-2 hours');

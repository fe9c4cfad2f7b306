-- The shop. Every value follows from a row's number, so that each run makes the same database.

-- Looked up by year, without an index for it; the badge index is never read.
CREATE TABLE employees (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    badge text NOT NULL,
    department text NOT NULL,
    hired_year int NOT NULL,
    salary numeric(10, 2) NOT NULL
);
INSERT INTO employees (name, badge, department, hired_year, salary)
SELECT 'Employee ' || n, md5(n::text), 'Department ' || n % 40, 2010 + n % 12, 2000 + n * 7919 % 500000 / 100.0
FROM generate_series(1, 200000) AS n;
CREATE INDEX employees_badge_idx ON employees (badge);

CREATE TABLE customers (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL
);
INSERT INTO customers (name) SELECT 'Customer ' || n FROM generate_series(1, 5000) AS n;

-- A foreign key that no index supports, and one index twice.
CREATE TABLE orders (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id int NOT NULL REFERENCES customers,
    placed_on date NOT NULL,
    total numeric(10, 2) NOT NULL
);
INSERT INTO orders (customer_id, placed_on, total)
SELECT 1 + n % 5000, DATE '2020-01-01' + n % 1825, n * 31 % 90000 / 100.0 FROM generate_series(1, 40000) AS n;
CREATE INDEX orders_placed_idx ON orders (placed_on);
CREATE INDEX orders_placed_idx2 ON orders (placed_on);

-- Written all day and never vacuumed.
CREATE TABLE carts (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    items int NOT NULL,
    filler text NOT NULL
) WITH (autovacuum_enabled = off);
INSERT INTO carts (items, filler) SELECT n % 9, repeat('x', 60) FROM generate_series(1, 40000) AS n;
UPDATE carts SET items = items + 1;
DELETE FROM carts WHERE id % 2 = 0;

-- Two invoices share a number.
CREATE TABLE invoices (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number int NOT NULL
);
INSERT INTO invoices (number) SELECT greatest(n, 2) FROM generate_series(1, 1000) AS n;

-- Counters that will run out.
CREATE TABLE tickets (
    id serial PRIMARY KEY,
    subject text
);
SELECT setval('tickets_id_seq', 2040109466);
CREATE TABLE gates (
    gate_no smallserial PRIMARY KEY
);
SELECT setval('gates_gate_no_seq', 30146);

CREATE TABLE audit_log (
    at timestamptz NOT NULL,
    entry text
);
INSERT INTO audit_log SELECT TIMESTAMPTZ '2024-01-01 00:00:00Z' + n * INTERVAL '1 minute', 'entry ' || n FROM generate_series(1, 2000) AS n;

-- What the prepared transaction and the sleeper hold on to.
CREATE TABLE stock (
    id int PRIMARY KEY,
    pieces int NOT NULL
);
INSERT INTO stock SELECT n, 100 FROM generate_series(1, 100) AS n;
CREATE TABLE accounts (
    id int PRIMARY KEY,
    balance int NOT NULL
);
INSERT INTO accounts SELECT n, 1000 FROM generate_series(1, 100) AS n;

ANALYZE;

-- Names that a person may write and a careless program may not survive.
CREATE SCHEMA hostile;

-- Escape codes that would colour a terminal; dead rows, so that rules speak of it.
CREATE TABLE hostile.U&"\001b[31mred\001b[0m" (n int) WITH (autovacuum_enabled = off);
INSERT INTO hostile.U&"\001b[31mred\001b[0m" SELECT generate_series(1, 12000);
DELETE FROM hostile.U&"\001b[31mred\001b[0m";

CREATE TABLE hostile."Robert'); DROP TABLE employees;--" (n int);
CREATE TABLE hostile."quote""in""name" ("col""umn" int);
CREATE TABLE hostile.U&"line\000aend\0009tab" (n int);
CREATE TABLE hostile.U&"right\202eto left\202c" (n int);
CREATE TABLE hostile."<script>alert(1)</script>&amp;" (n int);
CREATE TABLE hostile."%s {{braces}} ${dollar} `tick` \back" (n int);
CREATE TABLE hostile."sixty_three_bytes_is_the_longest_name_that_postgresql_can_keep_" (n int);
CREATE TABLE hostile." " (n int);

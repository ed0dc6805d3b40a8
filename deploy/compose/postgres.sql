-- What Postgres' image runs once, when it has made the database shop.
\getenv password CDC_PASSWORD

-- The application, and owner of the tables: docker compose exec postgres psql -U shop
CREATE ROLE shop LOGIN;
ALTER DATABASE shop OWNER TO shop;

-- kafkasync. Whoever publishes a table must own it, or belong to who does.
CREATE ROLE cdc LOGIN REPLICATION PASSWORD :'password';
GRANT CREATE ON DATABASE shop TO cdc;
GRANT shop TO cdc;

SET ROLE shop;
CREATE TABLE public.products (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL
);

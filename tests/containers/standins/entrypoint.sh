#!/bin/sh
# What the entrypoints of the real images do, as far as docker-compose.yaml uses it.
set -eu
if [ "${1:-}" = mini ]; then
    exec moto_server --host 0.0.0.0 --port 8333
elif [ $# -gt 0 ]; then
    exec "$@"
fi
data=/var/lib/postgresql/data
if [ ! -f "$data/PG_VERSION" ]; then
    printf '%s' "$POSTGRES_PASSWORD" >/tmp/password
    initdb --pgdata "$data" --username "$POSTGRES_USER" --pwfile /tmp/password --auth scram-sha-256 >/dev/null
    rm /tmp/password
    echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
    export PGUSER="$POSTGRES_USER" PGPASSWORD="$POSTGRES_PASSWORD" PGHOST=/run/postgresql
    pg_ctl --pgdata "$data" --wait --options "-c listen_addresses= -c unix_socket_directories=$PGHOST" start >/dev/null
    createdb "$POSTGRES_DB"
    for script in /docker-entrypoint-initdb.d/*.sql; do
        psql --quiet --dbname "$POSTGRES_DB" --file "$script"
    done
    pg_ctl --pgdata "$data" --wait stop >/dev/null
fi
exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/run/postgresql

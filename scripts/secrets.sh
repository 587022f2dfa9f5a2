#!/usr/bin/env bash
# Writes the secrets of docker-compose.yaml into .env, those that are not there yet.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

random() {
    head -c 32 /dev/urandom | base64 | tr '+/' '-_'
}

umask 077
touch .env
for name in POSTGRES_PASSWORD BROKER_PASSWORD STORE_KEY STORE_SECRET ADMIN_PASSWORD FERNET_KEY JWT_SECRET API_SECRET; do
    if ! grep -q "^MILLRACE_$name=." .env; then
        value=$(random)
        # A key of Fernet has its padding; in addresses it would be a nuisance.
        [[ $name == FERNET_KEY ]] || value=${value%=}
        printf 'MILLRACE_%s=%s\n' "$name" "$value" >>.env
        printf 'secrets: MILLRACE_%s is in .env\n' "$name"
    fi
done
chmod 600 .env

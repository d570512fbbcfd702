#!/usr/bin/env bash
# The reverse proxy on node 0: TLS, and nothing but /v1 and /health. Needs nginx. Written by M1 Desk.
set -euo pipefail
cd -- "$(dirname -- "$0")"

certificate={{certificate}}
certificate_key={{certificate_key}}
for file in "$certificate" "$certificate_key"; do
    if [ ! -r "$file" ]; then
        printf '%s\n' "The certificate's file $file can't be read." >&2
        exit 1
    fi
done

mkdir -p proxy/tls
chmod 700 proxy
cp -- nginx.conf proxy/nginx.conf
ln -sfn -- "$(realpath -- "$certificate")" proxy/tls/tls.crt
ln -sfn -- "$(realpath -- "$certificate_key")" proxy/tls/tls.key
# Debian has nginx where only root looks for programs
PATH="$PATH:/usr/local/sbin:/usr/sbin"
exec nginx -e stderr -p "$PWD/proxy/" -c "$PWD/proxy/nginx.conf" -g 'daemon off;'

#!/bin/sh
# Test the configuration of nginx as it would be with the file $2 as conf.d/$1. Its reason for a refusal names the
# operator's own files as they are named in the folder $3, where the operator keeps them.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp /etc/nginx/conf.d/*.conf "$folder" 2>/dev/null || :
cp "$2" "$folder/$1"
sed "s|include /etc/nginx/conf.d/|include $folder/|" /etc/nginx/nginx.conf >"$folder/nginx"
if ! nginx -t -q -c "$folder/nginx" 2>"$folder/reason"; then
    own="/etc/nginx/locations/${1%.conf}/[0-9a-f]*/"
    sed "s|$own|${3:-nginx}/|; s|$folder/nginx |/etc/nginx/nginx.conf |; s|$folder/|/etc/nginx/conf.d/|" \
        "$folder/reason" >&2
    exit 1
fi

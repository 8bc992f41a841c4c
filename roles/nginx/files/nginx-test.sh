#!/bin/sh
# Test the configuration of nginx as it would be with the file $2 as conf.d/$1.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp /etc/nginx/conf.d/*.conf "$folder" 2>/dev/null || :
cp "$2" "$folder/$1"
sed "s|include /etc/nginx/conf.d/|include $folder/|" /etc/nginx/nginx.conf >"$folder/nginx"
nginx -t -q -c "$folder/nginx"

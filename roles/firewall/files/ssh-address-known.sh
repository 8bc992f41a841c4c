#!/bin/sh
# Whether somebody has logged in with a key from this address within a month.
journalctl --quiet --unit=ssh.service --since=-30days --reverse --lines=1 \
    --grep="^Accepted publickey for .* from $1 port " | grep -q .

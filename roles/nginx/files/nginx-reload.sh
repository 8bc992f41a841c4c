#!/bin/sh
# What `systemctl reload nginx` runs. nginx takes the signal at once, and may then keep its old configuration with no
# more than a line in the journal. It took the new one once a new worker runs.
set -eu

workers() {
    cat "/proc/$MAINPID/task/$MAINPID/children"
}

nginx -t -q
old=" $(workers)"
kill -HUP "$MAINPID"
for _ in $(seq 150); do
    sleep 0.1
    for worker in $(workers); do
        case $old in
        *" $worker "*) ;;
        *) exit 0 ;;
        esac
    done
done
echo "nginx keeps its old configuration, for the reason above. A port in use must be freed first. Otherwise a restart" \
    "takes the new one, and cuts connections: at a moment of your choosing, run \`sudo systemctl restart nginx\`."
exit 1

# What the scripts of the servers share; sourced by bash with `name` set to the server's folder name.
#
# build: exit 0: the server is there. Exit 77: it can't be had here, and stderr says what is missing. Anything else: the
# build itself is broken. What is built lies in $target; `stamp` says from what, so that it is built once.
#
# start: stdout carries `READY http://127.0.0.1:PORT WORD=VALUE ...`, once. The server ends, and its folder is removed,
# on SIGTERM or at the end of stdin. Exit 77 as above.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/$name
target=${CARGO_TARGET_DIR:-$here/../../../target}/backends/$name

skip() {
    echo "skip: $name: $*" >&2
    exit 77
}

# current WHAT FILE...: whether WHAT in the target folder was made from FILEs as they are now.
current() {
    local made=$1
    shift
    wanted=$(cd "$here" && cat "$@" | cksum)
    mkdir -p "$target"
    target=$(cd "$target" && pwd)
    [ -e "$target/$made" ] && [ "$(cat "$target/stamp" 2>/dev/null)" = "$wanted" ] && return 0
    rm -f "$target/stamp"
    return 1
}

# Says that what `current` asked for was made.
stamp() { echo "$wanted" >"$target/stamp"; }

# Ports below the ephemeral range are tried until one is free: most servers want to be told theirs. One taken between
# the look and the bind ends the server, and `serve` tries others.
free_port() {
    local port
    while port=$((20000 + RANDOM % 12000)); (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
    echo "$port"
}

# HTTP without a client program: bash speaks to the socket itself. Whether GET of path $2 at port $1 is answered 200.
answers() {
    local line
    exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
    printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$2" >&3
    read -r -t 5 line <&3 || line=
    exec 3<&-
    [[ $line == *" 200 "* ]]
}

# Whether something listens at port $1.
listens() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# serve READY LAUNCH SAY: runs the server until stdin ends. LAUNCH is a function that chooses ports, starts the server in
# the background with its log in $folder/log and sets pid; READY says whether it is up; SAY prints what follows READY.
serve() {
    local ready=$1 launch=$2 say=$3 attempt tick
    folder=$(mktemp -d "${TMPDIR:-/tmp}/suiro-$name.XXXXXX")
    pid=
    trap end EXIT
    trap 'exit 0' TERM INT HUP
    for attempt in 1 2 3 4 5; do
        "$launch"
        for ((tick = 0; tick < 600; tick++)); do
            if ("$ready") 2>/dev/null; then
                echo "READY $("$say")"
                # Whatever is written to us is of no interest; only the end of it is. `wait` is what a signal interrupts.
                cat >/dev/null <&0 &
                wait -n "$pid" $! || { cat "$folder/log" >&2; exit 1; }
                exit 0
            fi
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -0 "$pid" 2>/dev/null && break
        grep -qi 'address already in use' "$folder/log" || break
    done
    echo "$name did not become ready:" >&2
    tail -n 20 "$folder/log" >&2
    exit 1
}

end() {
    if [ -n "$pid" ]; then
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    fi
    rm -rf "$folder"
}

# SPDX-License-Identifier: ISC
# shellcheck shell=bash
# How the commands in README and docs/ are run (host.py). A command that is named nowhere here fails the test: none gets
# into the documents untried. Most run as they are; a function stands in for what would need the world.

as_they_are='starttlsd openssl swaks curl mkdir install chmod chown cp cat sleep echo grep tail head kill fail2ban-regex
    fail2ban-client postconf sort systemd-sysusers uniq . for'
stand_ins='sudo apt-get git cd make systemctl journalctl docker certbot lego acme.sh'

check_known() {
    local words=$1 word
    while [[ $words =~ ^[A-Za-z_]+=(\'[^\']*\'|\"[^\"]*\"|[^[:space:]]*)[[:space:]]*(.*)$ ]]; do # assignments in front
        words=${BASH_REMATCH[2]}
    done
    word=${words%%[[:space:]]*}
    [[ -z $word || " "$(echo $as_they_are $stand_ins)" " == *" $word "* ]] && return
    echo "$word" >>"$UNKNOWN"
    exit 99
}

# Everybody is root here, and finds what a user finds; behind sudo, what root does.
PATH=/usr/local/bin:/usr/bin:/bin
sudo() {
    check_known "$1"
    PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin "$@"
}

# What is to be installed must be what tests/deps.sh has installed for the tests.
apt-get() {
    [[ $1 == install ]] || return 0
    shift
    for package; do
        [[ $package == -* ]] || dpkg-query -W -f '${db:Status-Status}\n' "$package" | grep -qx installed || return 1
    done
}

# Where it is cloned to is where we are.
git() {
    [[ $* == 'clone URL starttlsd' ]]
}
cd() {
    [[ $* == starttlsd ]] || builtin cd "$@"
}

# `make demo` is test_demo.py's, and `make test` is what runs this: that there are such targets is all that is left.
make() {
    case ${1:-all} in
    all | install) command make -s "$@" ;;
    *) grep -q "^$1:" Makefile ;;
    esac
}

await() {
    for _ in $(seq 400); do
        "$@" && return
        sleep 0.05
    done
    echo "it did not come true: $*" >&2
    tail -n 20 /run/journal >&2
    return 1
}

# Processes in the background, each with its number in a file. What they print is the journal.
launch() {
    local lines=0 file=$1
    shift
    [[ ! -e /run/journal ]] || lines=$(wc -l </run/journal)
    setsid "$@" </dev/null >>/run/journal 2>&1 &
    echo $! >"$file"
    await has_logged server.ready
}
has_logged() {
    tail -n "+$((lines + 1))" /run/journal | grep -q "$1"
}
is_running() {
    [[ -e $1 ]] && kill -0 "$(cat "$1")" 2>/dev/null
}
is_gone() {
    ! is_running "$1"
}
terminate() {
    kill "$(cat "$1")" && await is_gone "$1"
}

# starttlsd.service is run by the lines of its unit, which must be where systemd looks for it.
unit=/usr/local/lib/systemd/system/starttlsd.service main=/run/main.pid
unit_line() {
    sed -n "s/^$1=//p" $unit
}
# Postfix is the one whose configuration is at $MAIL_CONFIG.
restart_postfix() {
    terminate "$MAIL_CONFIG/queue/pid/master.pid" && "$(postconf -h daemon_directory)/master" -w
}
systemctl() {
    local verb='' names='' word lines=0 MAINPID
    for word; do
        case $word in -*) ;; *) [[ -n $verb ]] && names+=$word || verb=$word ;; esac
    done
    case $verb:$names in
    restart:postfix) restart_postfix ;;
    restart:fail2ban) fail2ban-client --test >/dev/null ;;
    daemon-reload:) [[ -e $unit ]] ;;
    # shellcheck disable=SC2046  # words are meant
    enable:starttlsd | start:starttlsd) is_running $main || launch $main $(unit_line ExecStart) ;;
    reload:starttlsd)
        lines=$(wc -l </run/journal)
        MAINPID=$(cat $main)
        eval "$(unit_line ExecReload)"
        await has_logged 'event=config.re[lj]' && has_logged event=config.reloaded ;;
    stop:starttlsd) terminate $main ;;
    restart:starttlsd) terminate $main && systemctl start starttlsd ;;
    status:starttlsd) is_running $main ;;
    *)
        echo "systemctl: nothing stands in for $*" >&2
        return 1 ;;
    esac
}
journalctl() {
    cat /run/journal
}

# ACME: the files are made where they would be, with the rights that they would have, and the hook is run.
issue() {
    local domain=$1 chain=$2 key=$3 hook=$4
    openssl req -x509 -newkey rsa:2048 -nodes -days 90 -subj "/CN=$domain" -addext "subjectAltName=DNS:$domain" \
        -keyout "$key" -out "$chain" 2>/dev/null
    check_known "$hook"
    eval "$hook"
}
certbot() {
    [[ $* =~ ^certonly\ --standalone\ -d\ ([a-z.]+)\ --deploy-hook\ (.*)$ ]] || return 1
    install -d -m 0700 /etc/letsencrypt/live "/etc/letsencrypt/live/${BASH_REMATCH[1]}"
    cd "/etc/letsencrypt/live/${BASH_REMATCH[1]}"
    issue "${BASH_REMATCH[1]}" fullchain.pem privkey.pem "${BASH_REMATCH[2]}"
    cd - >/dev/null
}
lego() {
    [[ $* =~ ^--path\ ([a-z/]+)\ --email\ [^\ ]+\ --domains\ ([a-z.]+)\ --http\ renew\ --renew-hook\ (.*)$ ]] || return 1
    install -d -m 0700 "${BASH_REMATCH[1]}/certificates"
    issue "${BASH_REMATCH[2]}" "${BASH_REMATCH[1]}/certificates/${BASH_REMATCH[2]}."{crt,key} "${BASH_REMATCH[3]}"
}
acme.sh() {
    [[ $* =~ ^--install-cert\ -d\ ([a-z.]+)\ --key-file\ ([^\ ]+)\ --fullchain-file\ ([^\ ]+)\ --reloadcmd\ (.*)$ ]] || return 1
    issue "${BASH_REMATCH[1]}" "${BASH_REMATCH[3]}" "${BASH_REMATCH[2]}" "${BASH_REMATCH[4]}"
}

# A container is the same program as the user of the image, with a network of its own, who reads
# the same files at the same place. The port that is published must be the one that it listens on.
docker() {
    local verb=$1 number=/run/container.pid
    shift
    case $verb in
    build) [[ $* == '-t starttlsd .' ]] && grep -q '^USER 65532:65532$' Dockerfile ;;
    run)
        [[ $* =~ ^-d\ --name\ starttlsd\ -v\ /etc/starttlsd:/etc/starttlsd:ro\ -p\ [0-9]+:([0-9]+)\ starttlsd$ ]] &&
            grep -q "^listen = .*:${BASH_REMATCH[1]}$" /etc/starttlsd/starttlsd.ini &&
            launch $number unshare --net setpriv --reuid=65532 --regid=65532 --clear-groups starttlsd run ;;
    stop) terminate $number ;;
    *)
        echo "docker: nothing stands in for $verb" >&2
        return 1 ;;
    esac
}

set -euT -o pipefail
trap '[[ -n ${FUNCNAME[*]:-} ]] || check_known "$BASH_COMMAND"' DEBUG

#!/bin/sh
# SPDX-License-Identifier: ISC
# Fetches the peers of the end-to-end tests that cannot be installed: mail servers that exclude Postfix
# or Dovecot as packages, and the gateways of docs/migration.md, which would take mail's ports. They are
# unpacked into build/peers/NAME and never installed (tests/e2e/peers.py runs them from there); and two
# clients from npm. What is there is not fetched again. What cannot be had is told, and no failure here:
# the tests that lack it say so, and fail where CI=true.
set -u

cd "$(dirname "$0")/.." || exit 1
peers=$(pwd)/build/peers
failed=

# The second try below is enough; and as root, apt would fetch as a user who may not write here.
options='-qq -o Acquire::Retries=0'
[ "$(id -u)" != 0 ] || options="$options -o APT::Sandbox::User=root"

# The packages, and of all that they need what this machine lacks.
closure() {
    # shellcheck disable=SC2086  # options are words
    plan=$(apt-get $options --no-install-recommends -s install "$@") || return 1
    {
        printf '%s\n' "$@"
        echo "$plan" | sed -n 's/^Inst \([^ ]*\).*/\1/p'
    } | sort -u
}

unpack() {
    place=$peers/$1
    shift
    rm -rf "${place:?}"
    mkdir -p "$place/packages" "$place/all"
    packages=$(closure "$@") || return 1
    # shellcheck disable=SC2086  # packages are words
    (cd "$place/packages" && apt-get $options download $packages) || return 1
    for package in "$place/packages"/*.deb; do
        dpkg -x "$package" "$place/all" || return 1
    done
    # Only /usr is used; what a package still puts beside it belongs there.
    mv "$place/all/usr" "$place/usr"
    for folder in bin sbin lib; do
        [ ! -d "$place/all/$folder" ] || cp -a "$place/all/$folder" "$place/usr" || return 1
    done
    rm -rf "$place/packages" "$place/all"
    : >"$place/complete"
}

# Lists of packages may be missing or old; only root can do something about it, and once is enough.
may_update=$([ "$(id -u)" != 0 ] || echo yes)

refresh() {
    [ -n "$may_update" ] || return 1
    may_update=
    # shellcheck disable=SC2086
    apt-get $options update
}

fetch_debian() {
    [ ! -e "$peers/$1/complete" ] || return 0
    if ! command -v apt-get >/dev/null; then
        failed="$failed $1"
    elif ! unpack "$@"; then
        refresh && unpack "$@" || failed="$failed $1"
    fi
}

# By its digest, so that no registry is trusted.
fetch_npm() {
    name=$1 file=$1-$2.tgz place=$peers/$1
    [ ! -e "$place/complete" ] || return 0
    rm -rf "${place:?}"
    mkdir -p "$place"
    (
        cd "$place" && npm pack --silent --fetch-retry-mintimeout=500 --fetch-retry-maxtimeout=1000 "$name@$2" \
            >/dev/null && echo "$3  $file" | sha512sum --quiet -c &&
            tar -xzf "$file" && rm "$file" && : >complete
    ) || failed="$failed $name"
}

# The same with all that it depends on: tests/e2e/NAME has their digests.
fetch_locked() {
    place=$peers/$1
    [ ! -e "$place/complete" ] || return 0
    rm -rf "${place:?}"
    mkdir -p "$place"
    cp "tests/e2e/$1"/package*.json "$place" && (
        cd "$place" && npm ci --silent --ignore-scripts --no-audit --no-fund --fetch-retry-mintimeout=500 \
            --fetch-retry-maxtimeout=1000 && : >complete
    ) || failed="$failed $1"
}

mkdir -p "$peers"
{
    fetch_debian exim exim4-daemon-light exim4-base
    fetch_debian opensmtpd opensmtpd
    fetch_debian courier courier-imap courier-pop courier-authlib-userdb
    fetch_debian cyrus cyrus-imapd cyrus-pop3d sasl2-bin libsasl2-modules
    fetch_debian nginx nginx libnginx-mod-mail
    fetch_debian stunnel stunnel4
    fetch_debian perdition perdition
    fetch_npm nodemailer 7.0.13 \
        3cd0c548974ff8a16076c1b76733170a0aae3bb23a31c8d8daf96a20b8ed25dd21cbcc04bedba04bdc4a445d8d5a53cd1b1bcb09795334869ee2c7ab23b7629f
    fetch_locked imapflow
} >"$peers/log" 2>&1

[ -z "$failed" ] || echo "starttlsd: could not fetch$failed (see build/peers/log); what needs them is not tested" >&2
exit 0

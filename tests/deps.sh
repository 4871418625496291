#!/bin/sh
# SPDX-License-Identifier: ISC
# Sees to it that the packages for a purpose are there: `deps.sh demo|test|develop|verdicts`. Each of the first
# three contains the one before it. Says nothing and costs nothing when there is nothing to do.
set -eu

demo='gcc libc6-dev make libssl-dev libev-dev libinih-dev openssl python3 curl swaks libnet-ssleay-perl'
test='libcmocka-dev python3-pytest python3-pytest-xdist postfix dovecot-core dovecot-imapd dovecot-pop3d dovecot-managesieved msmtp isync fetchmail'
test="$test strace procps util-linux iproute2 python3-jsonschema python3-yaml fail2ban systemd mandoc"
develop='git clang clang-format libclang-rt-dev llvm cppcheck'

case ${1:-} in
demo) wanted=$demo ;;
test) wanted="$demo $test" ;;
develop) wanted="$demo $test $develop" ;;
verdicts) wanted="$demo $test testssl.sh" ;;
*) echo 'usage: deps.sh demo|test|develop|verdicts' >&2; exit 2 ;;
esac

# One client comes from npm, whose own packages are hundreds: a person who has none is not made to install them.
if [ "${CI:-}" = true ] && [ "$1" != demo ] && ! command -v npm >/dev/null; then
    wanted="$wanted nodejs npm"
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    # Nothing is guessed for other distributions: what is missing shows itself in the build.
    cat >&2 <<TEXT
starttlsd: this is no Debian, so nothing is installed for you. Needed are: a C11 compiler, GNU make, and
the headers of OpenSSL 3.0 or later, libev 4 and inih; for the demo Python 3 and openssl; for the tests
cmocka, pytest with xdist, Postfix, Dovecot, swaks, curl, msmtp, mbsync, fetchmail, strace, fail2ban, mandoc. (Debian calls them: $wanted)
TEXT
    exit 0
fi

missing() {
    for package in $wanted; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf ' %s' "$package"
    done
}

needed=$(missing)
[ -n "$needed" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
    as_root=sudo
    if ! command -v sudo >/dev/null; then
        echo "starttlsd: missing packages; as root: apt-get install --no-install-recommends$needed" >&2
        exit 1
    fi
fi

# A package must not start its service (Postfix would take port 25): policy-rc.d forbids it, as long as
# the installation lasts.
policy=/usr/sbin/policy-rc.d
made=
restore() {
    [ -z "$made" ] || $as_root rm -f $policy
}
trap restore EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if [ ! -e $policy ]; then
    made=yes
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    $as_root chmod 755 $policy
fi

echo "starttlsd: installing$needed"
$as_root apt-get update -qq
# --no-remove: where another mail server is installed, Postfix does not push it out.
# shellcheck disable=SC2086  # words are meant
if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --no-remove $needed; then
    echo "starttlsd: could not install$needed" >&2
    echo "starttlsd: if another mail server is in the way, run the tests in a container or a virtual machine" >&2
    exit 1
fi

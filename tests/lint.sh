#!/bin/sh
# SPDX-License-Identifier: ISC
# What `make lint` checks beside compiling: format, cppcheck, the rules between folders, the purity of
# protocols/, and that generated documents are what the program would generate. All findings in one run.
set -eu

failed=0
complain() {
    printf 'lint: %s\n' "$*" >&2
    failed=1
}

sources=$(find protocols config proxy tests -name '*.[ch]' | sort)

# ---- Format -----------------------------------------------------------------------------------------

# shellcheck disable=SC2086
clang-format --dry-run -Werror $sources || complain 'format: run make format'

for file in $sources; do
    head -n 1 "$file" | grep -qx '/\* SPDX-License-Identifier: ISC \*/' || complain "$file: no SPDX line"
done

# A long file holds two ideas (STYLE: 500 lines). A hint, since only a reader can say where to cut.
find protocols config proxy -name '*.[ch]' -exec awk 'END { if (NR > 500) print "lint: note: " FILENAME ": " NR " lines" }' {} \; >&2

# ---- Folders ----------------------------------------------------------------------------------------

# folder, what it may include from the repository
while read -r folder allowed; do
    grep -nE '^ *# *include +"' "$folder"/*.[ch] 2>/dev/null | grep -vE "\"($allowed)/[a-z0-9_]+\.h\"" |
        sed "s|^|lint: $folder/ reaches too far: |" >&2 || true
    ! grep -hE '^ *# *include +"' "$folder"/*.[ch] 2>/dev/null | grep -qvE "\"($allowed)/[a-z0-9_]+\.h\"" || failed=1
done <<RULES
protocols protocols
config protocols|config
proxy protocols|config|proxy
RULES

# protocols/ is pure, and its symbol table proves it: linked together, its objects need nothing but
# memory functions, strlen, and the hooks of assert, of the compiler and of _FORTIFY_SOURCE. (bcmp is
# what clang makes of a memcmp that only looks for a difference.)
pure='mem(cpy|move|set|chr|cmp|rchr|mem)|bcmp|__mem(cpy|move|set)_chk|strlen|__assert_fail|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_'
for variant in gcc clang; do
    ld -r -o build/$variant/protocols.o build/$variant/protocols/*.o $(ls build/$variant/tests/example_protocol/*.o 2>/dev/null)
    impure=$(nm -u build/$variant/protocols.o | awk '{ print $2 }' | grep -vxE "$pure" | tr '\n' ' ' || true)
    [ -z "$impure" ] || complain "protocols/ is not pure ($variant): $impure"
done

# ---- Tools ------------------------------------------------------------------------------------------

# varFuncNullUB: NULL is a pointer in every C library of Linux, and gcc checks the sentinels.
# unknownMacro: what system headers would define is not shown to cppcheck.
mkdir -p build/cppcheck
cppcheck --enable=warning,performance,portability --error-exitcode=1 --inline-suppr --std=c11 --quiet -j 2 \
    --cppcheck-build-dir=build/cppcheck -I. -D_GNU_SOURCE -DSTARTTLSD_VERSION='"lint"' \
    --suppress=unknownMacro --suppress=varFuncNullUB protocols config proxy || complain 'cppcheck'

build/gcc/starttlsd check --reference >build/gcc/configuration.md
cmp build/gcc/configuration.md docs/configuration.md || complain 'docs/configuration.md: run make docs'

# A misspelt key leaves the exit status at 0, so any word is a failure. Without systemd nothing is checked.
if command -v systemd-analyze >/dev/null; then
    program=$(pwd)/build/gcc/starttlsd
    sed "s|/usr/sbin/starttlsd|$program|" deploy/starttlsd.service >build/gcc/starttlsd.service
    words=$(systemd-analyze verify --man=no build/gcc/starttlsd.service 2>&1) || complain 'deploy/starttlsd.service'
    [ -z "$words" ] || complain "deploy/starttlsd.service: $words"
fi

[ $failed = 0 ] && echo 'lint: clean'
exit $failed

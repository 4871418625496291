# SPDX-License-Identifier: ISC
# starttlsd. `make help` names the targets; `make demo` and `make test` are the two to remember.

VERSION := 0.1.0

prefix      ?= /usr/local
bindir      ?= $(prefix)/bin
sbindir     ?= $(prefix)/sbin
mandir      ?= $(prefix)/share/man
docdir      ?= $(prefix)/share/doc/starttlsd
unitdir     ?= $(prefix)/lib/systemd/system
sysusersdir ?= $(prefix)/lib/sysusers.d
CC          ?= cc
CFLAGS      ?= $(or $(CFLAGS_$(VARIANT)),-O2 -g)
# The distribution's own: pytest comes from its packages.
PYTHON      ?= /usr/bin/python3

# Each variant builds in its own folder, so none spoils another.
VARIANT ?= release
B       := build/$(VARIANT)

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Wvla -Wformat=2 -Wcast-qual \
    -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wwrite-strings -Wpointer-arith \
    -Wimplicit-fallthrough -Wno-unused-parameter -Wno-missing-field-initializers
HARDEN   := -D_FORTIFY_SOURCE=2 -fstack-protector-strong
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

COMPILE_release := $(HARDEN)
COMPILE_asan    := $(SANITIZE)
COMPILE_gcc     := $(HARDEN) -Werror
COMPILE_clang   := $(HARDEN) -Werror
COMPILE_fuzz    := $(SANITIZE) -fsanitize=fuzzer-no-link
CFLAGS_asan     := -O1 -g
LINK_asan       := $(SANITIZE)
LINK_fuzz       := $(SANITIZE)
CC_gcc          := gcc
CC_clang        := clang
CC_fuzz         := clang
ifdef CC_$(VARIANT)
CC := $(CC_$(VARIANT))
endif

# All CPUs, unless the caller has said how many.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

# libev sees each watcher through its base struct, hence no strict aliasing.
COMPILE := -std=c11 $(WARNINGS) -fno-strict-aliasing -fPIE -I. -DSTARTTLSD_VERSION='"$(VERSION)"' \
    -DOPENSSL_NO_DEPRECATED -DOPENSSL_API_COMPAT=30000 $(COMPILE_$(VARIANT))
LINK    := -pie -Wl,-z,relro,-z,now $(LINK_$(VARIANT))
LIBS    := -lssl -lcrypto -lev -linih

PROTOCOLS := $(patsubst %.c,$(B)/%.o,$(wildcard protocols/*.c))
CONFIG    := $(patsubst %.c,$(B)/%.o,$(wildcard config/*.c))
PROXY     := $(patsubst %.c,$(B)/%.o,$(filter-out proxy/main.c,$(wildcard proxy/*.c)))
ARCHIVES  := $(B)/libproxy.a $(B)/libconfig.a $(B)/libprotocols.a
PLAY      := $(patsubst %.c,$(B)/%.o,$(wildcard tests/unit/play.c))
UNIT      := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
DIFFER    := $(B)/tests/differential/driver
EXAMPLE   := $(patsubst %.c,$(B)/%.o,$(wildcard tests/example_protocol/*.c))
FUZZERS   := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))

FUZZ_SECONDS ?= 60
SEED         ?= 1
COUNT        ?= 12000
# A report ends the process with a status of its own; where `log_path` points, e2e looks for reports.
ASAN := ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99:$(ASAN_OPTIONS) \
    UBSAN_OPTIONS=print_stacktrace=1:$(UBSAN_OPTIONS)

# ---- What users type ----------------------------------------------------------------------------

all: $(B)/starttlsd ## the program, in build/release

demo: ## starttlsd in front of a small mail server on this machine, until ^C
	@sh tests/deps.sh demo
	@$(MAKE) --no-print-directory all
	@exec $(PYTHON) deploy/demo/demo.py $(B)/starttlsd

test: ## unit, differential and end-to-end tests
	@sh tests/deps.sh test
	@$(MAKE) --no-print-directory peers
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory differential
	@$(MAKE) --no-print-directory e2e

peers: ## fetch the servers and clients of the tests that cannot be installed, into build/peers
	@sh tests/peers.sh

deps: ## install what building, testing and `make lint` need (Debian packages)
	@sh tests/deps.sh develop

# ---- Building -----------------------------------------------------------------------------------

# A word stands for each command; `make V=1` shows them whole, `make -s` nothing.
say = $(if $(filter 1,$(V))$(findstring s,$(firstword -$(MAKEFLAGS))),,@echo '  $(1)  $(@:$(B)/%=%)';)

$(B)/starttlsd: $(B)/proxy/main.o $(ARCHIVES)
	$(call say,LD)$(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/libprotocols.a: $(PROTOCOLS)
$(B)/libconfig.a: $(CONFIG)
$(B)/libproxy.a: $(PROXY)
$(B)/lib%.a:
	@rm -f $@
	$(call say,AR)$(AR) rcs $@ $^

# What a compiler is told is a prerequisite: a new version or new flags rebuild.
FLAGS := $(shell mkdir -p $(B); printf '%s\n' '$(CC) $(subst ','\'',$(COMPILE)) $(CPPFLAGS) $(CFLAGS)' >$(B)/flags.new; \
    cmp -s $(B)/flags.new $(B)/flags || mv $(B)/flags.new $(B)/flags; rm -f $(B)/flags.new)

$(B)/protocols/%.o: protocols/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(COMPILE) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) -D_GNU_SOURCE $(COMPILE) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Archives last, as linkers want them, whatever else a target needs.
$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(PLAY) $(ARCHIVES)
	$(call say,LD)$(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS) -lcmocka

# The module of docs/protocols.md, and a starttlsd whose registry has a row for it. It is never installed.
$(filter $(B)/tests/unit/test_example_%,$(UNIT)): $(EXAMPLE)
$(B)/example/registry.c: protocols/registry.c
	@mkdir -p $(@D)
	@sed -e 's|^#include.*|&\n#include "tests/example_protocol/managesieve.h"|' \
	    -e 's|^    &pop3_protocol,|&\n    \&managesieve_protocol,|' $< >$@
$(B)/example/registry.o: $(B)/example/registry.c
	$(call say,CC)$(CC) $(COMPILE) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
$(B)/example/starttlsd: $(B)/proxy/main.o $(B)/example/registry.o $(EXAMPLE) $(ARCHIVES)
	$(call say,LD)$(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ $(LIBS)

$(DIFFER): $(DIFFER).o $(B)/libprotocols.a
	$(call say,LD)$(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^

# Fuzzers meet no socket and no TLS.
$(filter $(B)/tests/fuzz/fuzz_example,$(FUZZERS)): $(EXAMPLE)
$(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(B)/libconfig.a $(B)/libprotocols.a
	$(call say,LD)$(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(filter %.a,$^) -linih

# Read for its warnings alone.
$(B)/%.read: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) -D_GNU_SOURCE $(COMPILE) $(CPPFLAGS) $(CFLAGS) -MMD -MP -MT $@ -MF $@.d -fsyntax-only $<
	@touch $@

-include $(shell find $(B) -name '*.d' 2>/dev/null)

# ---- Testing ------------------------------------------------------------------------------------

unit: $(UNIT:%=run-%) ## unit tests (cmocka)

$(UNIT:%=run-%): run-%: %
	@$(ASAN) $* >$*.log 2>&1 || { cat $*.log; echo "$*: failed"; exit 1; }; \
	sed -n "s|.*PASSED.*\] \(.*\)\.|$*: \1 passed|p" $*.log

differential: $(DIFFER) ## COUNT (12000) dialogues from SEED (1) on, read again by readers that know the RFCs alone
	@$(ASAN) PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/differential/run.py $(DIFFER) $(SEED) $(COUNT) $(PROTOCOL)

# Most of their time is waiting, so several files run at once. PYTEST_ARGS='-k reload' runs some of them, -n 0 one by one.
e2e: $(B)/starttlsd $(B)/example/starttlsd ## end-to-end tests: real clients, real servers behind (pytest; as root, or some are skipped)
	@STARTTLSD=$(CURDIR)/$(B)/starttlsd STARTTLSD_SANITIZED=$(filter asan,$(VARIANT)) \
	    PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m pytest -c tests/e2e/pytest.ini tests/e2e -n 3 --dist loadfile $(PYTEST_ARGS)

verdicts: $(B)/starttlsd ## what testssl.sh says of the servers that `starttlsd probe` is tested with: minutes
	@sh tests/deps.sh verdicts
	@$(MAKE) --no-print-directory e2e PYTEST_ARGS='-m slow --dist load'

asan: ## all of these tests under address and undefined-behaviour sanitizers, with leak check
	@$(MAKE) --no-print-directory VARIANT=asan unit
	@$(MAKE) --no-print-directory VARIANT=asan COUNT=2000 differential
	@$(MAKE) --no-print-directory VARIANT=asan e2e

fuzz: ## every fuzzer for FUZZ_SECONDS (60) on its seeds (libFuzzer)
	@$(MAKE) --no-print-directory VARIANT=fuzz fuzzers
	@$(MAKE) --no-print-directory $(patsubst tests/fuzz/fuzz_%.c,fuzz-%,$(wildcard tests/fuzz/fuzz_*.c))

bench: $(B)/starttlsd ## CPU and memory beside nginx and stunnel (if there), and what TLS towards the backend costs
	@$(PYTHON) bench/peers.py --program $(B)/starttlsd
	@$(PYTHON) bench/reencryption.py --program $(B)/starttlsd

fuzz-%:
	@fuzzer=fuzz_$*; mkdir -p build/fuzz/corpus/$$fuzzer; seeds=tests/fuzz/seeds/$$fuzzer; \
	build/fuzz/tests/fuzz/$$fuzzer -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
	    -artifact_prefix=build/fuzz/$$fuzzer- build/fuzz/corpus/$$fuzzer $$(ls -d $$seeds 2>/dev/null) \
	    >build/fuzz/$$fuzzer.log 2>&1 || { tail -n 60 build/fuzz/$$fuzzer.log; exit 1; }; \
	sed -n "s|^Done|$$fuzzer:|p" build/fuzz/$$fuzzer.log

example: $(B)/example/starttlsd ## a starttlsd that speaks one protocol more, that of docs/protocols.md

fuzzers: $(FUZZERS)
objects: $(B)/starttlsd $(B)/example/starttlsd $(UNIT) $(DIFFER)
readings: $(B)/libprotocols.a $(patsubst %.c,$(B)/%.read,$(wildcard config/*.c proxy/*.c tests/*/*.c))

# Warnings are errors here and nowhere else: a newer compiler never stops a user. Those of gcc come from its
# optimizer too.
lint: ## formatting, warnings of gcc and clang as errors, cppcheck, the rules between folders
	@$(MAKE) --no-print-directory VARIANT=gcc objects
	@$(MAKE) --no-print-directory VARIANT=clang readings
	@sh tests/lint.sh

format: ## format all C in place
	clang-format -i $$(git ls-files '*.c' '*.h')

docs: $(B)/starttlsd ## write docs/configuration.md anew from the table of keys
	$(B)/starttlsd check --reference >docs/configuration.md

# ---- Shipping -----------------------------------------------------------------------------------

$(B)/starttlsd.ini.5: deploy/man/starttlsd.ini.awk docs/configuration.md
	@awk -f $^ >$@

install: all $(B)/starttlsd.ini.5 ## honours DESTDIR and prefix
	install -d $(addprefix $(DESTDIR),$(bindir) $(sbindir) $(unitdir) $(sysusersdir) $(mandir)/man5 $(mandir)/man8 $(docdir)/examples/fail2ban)
	install -m 0755 $(B)/starttlsd $(DESTDIR)$(sbindir)/starttlsd
	ln -sf $(sbindir)/starttlsd $(DESTDIR)$(bindir)/starttlsd # `check` and `probe` are for everybody
	install -m 0644 deploy/starttlsd.service $(DESTDIR)$(unitdir)/starttlsd.service
	sed -i 's|/usr/sbin/starttlsd|$(sbindir)/starttlsd|' $(DESTDIR)$(unitdir)/starttlsd.service
	install -m 0644 deploy/starttlsd.sysusers $(DESTDIR)$(sysusersdir)/starttlsd.conf
	install -m 0644 $(B)/starttlsd.ini.5 $(DESTDIR)$(mandir)/man5/starttlsd.ini.5
	install -m 0644 deploy/man/starttlsd.8 $(DESTDIR)$(mandir)/man8/starttlsd.8
	install -m 0644 deploy/*.ini deploy/compose.yaml $(DESTDIR)$(docdir)/examples
	cp -R deploy/fail2ban/. $(DESTDIR)$(docdir)/examples/fail2ban
	install -m 0644 README.md CHANGELOG.md LICENSE docs/*.md docs/*.json $(DESTDIR)$(docdir)

uninstall: ## take away what `make install` has put; the configuration is left
	rm -f $(addprefix $(DESTDIR),$(bindir)/starttlsd $(sbindir)/starttlsd $(unitdir)/starttlsd.service $(sysusersdir)/starttlsd.conf)
	rm -f $(addprefix $(DESTDIR)$(mandir)/,man5/starttlsd.ini.5 man8/starttlsd.8)
	rm -rf $(DESTDIR)$(docdir)
	@echo '/etc/starttlsd is left, and so is the user starttlsd'

dist: ## a release archive of what is committed, in build/
	@mkdir -p build
	git archive --prefix=starttlsd-$(VERSION)/ HEAD | gzip -9n >build/starttlsd-$(VERSION).tar.gz
	@echo build/starttlsd-$(VERSION).tar.gz

clean: ## remove build/
	rm -rf build

help: ## this text
	@sed -n 's/^\([a-z0-9]*\):.*## /\1 /p' Makefile | while read -r target text; do \
	    printf '  make %-8s %s\n' "$$target" "$$text"; done

.PHONY: all demo test peers deps verdicts unit $(UNIT:%=run-%) differential e2e asan fuzz bench example fuzzers objects readings lint format docs install uninstall dist clean help
.SECONDARY:

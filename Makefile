# starttlsd. `make help` names the targets; `make test` is the one to remember.

VERSION := 0.1.0

prefix  ?= /usr/local
sbindir ?= $(prefix)/sbin
docdir  ?= $(prefix)/share/doc/starttlsd
CC      ?= cc
CFLAGS  ?= -O2 -g
PYTHON  ?= /usr/bin/python3

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
LINK_asan       := $(SANITIZE)

# libev sees each watcher through its base struct, hence no strict aliasing.
COMPILE := -std=c11 $(WARNINGS) -fno-strict-aliasing -fPIE -I. -DSTARTTLSD_VERSION='"$(VERSION)"' \
    -DOPENSSL_NO_DEPRECATED -DOPENSSL_API_COMPAT=30000 $(COMPILE_$(VARIANT))
LINK    := -pie -Wl,-z,relro,-z,now $(LINK_$(VARIANT))
LIBS    := -lssl -lcrypto -lev -linih

PROTOCOLS := $(patsubst %.c,$(B)/%.o,$(wildcard protocols/*.c))
CONFIG    := $(patsubst %.c,$(B)/%.o,$(wildcard config/*.c))
PROXY     := $(patsubst %.c,$(B)/%.o,$(filter-out proxy/main.c,$(wildcard proxy/*.c)))
PLAY      := $(B)/tests/unit/play.o
UNIT      := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))

all: $(B)/starttlsd

$(B)/starttlsd: $(B)/proxy/main.o $(B)/libproxy.a $(B)/libconfig.a $(B)/libprotocols.a
	$(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/libprotocols.a: $(PROTOCOLS)
$(B)/libconfig.a: $(CONFIG)
$(B)/libproxy.a: $(PROXY)
$(B)/lib%.a:
	rm -f $@
	$(AR) rcs $@ $^

$(B)/protocols/%.o: protocols/%.c
	@mkdir -p $(@D)
	$(CC) $(COMPILE) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE $(COMPILE) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(PLAY) $(B)/libproxy.a $(B)/libconfig.a $(B)/libprotocols.a
	$(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ $(LIBS) -lcmocka

-include $(shell find $(B) -name '*.d' 2>/dev/null)

.PHONY: all
.SECONDARY:

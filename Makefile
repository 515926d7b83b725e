# Makefile: builds cradle. `make help` lists the targets.
#
# VARIANT = release | asan | tsan | fuzz | coverage, each in build/VARIANT. One library per folder of src/;
# programs are linked from them in the order that the layers allow (see docs/ARCHITECTURE.md, checked by t/layers.sh).

VARIANT ?= release
PREFIX ?= /usr
DESTDIR ?=
B := build/$(VARIANT)
VERSION := $(shell cat VERSION)

CC_release := gcc
CC_asan := gcc
CC_tsan := gcc
CC_coverage := gcc
CC_fuzz := clang-14
CC := $(CC_$(VARIANT))

PKGS := openssl libevent_core libevent_extra jansson sqlite3 libseccomp libcurl libzstd
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS))

WARN := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wundef -Werror
HARDEN_release := -O2 -D_FORTIFY_SOURCE=2 -fstack-clash-protection
HARDEN_asan := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
HARDEN_tsan := -O1 -fsanitize=thread
HARDEN_fuzz := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
HARDEN_coverage := -O0 --coverage -Wno-maybe-uninitialized # gcc calls arrays that a read fills uninitialised at -O0
CF_PROTECTION := $(if $(filter x86_64,$(shell uname -m)),-fcf-protection=full,)
CFLAGS_ALL = -std=gnu17 -g -fPIC -fstack-protector-strong $(CF_PROTECTION) $(WARN) $(HARDEN_$(VARIANT)) \
	-D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -DCRADLE_VERSION='"$(VERSION)"' -Isrc -Iinclude $(PKG_CFLAGS) $(CFLAGS)
LDFLAGS_ALL = $(if $(filter fuzz,$(VARIANT)),,-pie) -Wl,-z,relro,-z,now,-z,noexecstack $(filter -fsanitize% --coverage,$(HARDEN_$(VARIANT))) $(LDFLAGS)

LIB_crypto := $(shell pkg-config --libs libcrypto)
LIB_ssl := $(shell pkg-config --libs openssl)
LIB_event := $(shell pkg-config --libs libevent_extra libevent_core)
LIB_json := $(shell pkg-config --libs jansson)
LIB_sqlite := $(shell pkg-config --libs sqlite3)
LIB_seccomp := $(shell pkg-config --libs libseccomp)
LIB_curl := $(shell pkg-config --libs libcurl)
LIB_mosquitto := -lmosquitto
LIB_zstd := $(shell pkg-config --libs libzstd)

FOLDERS := base crypt token wire snap store core role cli net dev agent gate edge plugin
objs = $(patsubst src/%.c,$(B)/%.o,$(wildcard src/$(1)/*.c))
# main files are linked into their program only
MAINS := $(B)/role/cradled.o $(B)/cli/cradle.o $(B)/agent/cradle_agent.o $(B)/gate/cradle_gate.o $(B)/edge/cradle_edge.o
LIBS := $(foreach f,$(FOLDERS),$(B)/lib$(f).a)

PROGRAMS := $(foreach p,role/cradled.c:cradled cli/cradle.c:cradle agent/cradle_agent.c:cradle-agent gate/cradle_gate.c:cradle-gate edge/cradle_edge.c:cradle-edge,\
	$(if $(wildcard src/$(word 1,$(subst :, ,$(p)))),$(B)/$(word 2,$(subst :, ,$(p)))))
PLUGIN := $(if $(wildcard src/plugin/*.c),$(B)/cradle_mosquitto.so)
DEVLIB := $(if $(wildcard src/dev/*.c),$(B)/libcradle-dev.a)
EDGELIB := $(B)/libcradle-edge.a $(B)/libcradle-edge.so.0
UNITS := $(patsubst t/unit/%.c,$(B)/t/%,$(wildcard t/unit/*.c))
TOOLS := $(patsubst t/tool/%.c,$(B)/t/%,$(wildcard t/tool/*.c))
BENCHES := $(patsubst bench/%.c,$(B)/bench/%,$(wildcard bench/*.c))
# clients that tests under load need as well
LOADS := $(addprefix $(B)/bench/,est_load poll_load mqttload revoke_load delta_pair)
FUZZERS := $(patsubst t/fuzz/%.c,%,$(wildcard t/fuzz/*.c))

.PHONY: all lib tests fuzzers benches clean install uninstall help man debian13 netns soak fleet leak mcu-size
all: $(LIBS) $(PROGRAMS) $(PLUGIN) $(DEVLIB) $(EDGELIB)
tests: all $(B)/t/faulty_p11.so $(UNITS) $(TOOLS) $(LOADS) $(FUZZERS:%=$(B)/t/replay_%)
fuzzers: $(FUZZERS:%=$(B)/t/fuzz_%)
benches: all $(BENCHES) $(B)/t/netlag

# VERSION is compiled in
$(B)/%.o: src/%.c VERSION
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

define folder_lib
$(B)/lib$(1).a: $(filter-out $(MAINS),$(call objs,$(1)))
	@mkdir -p $$(@D)
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call folder_lib,$(f))))

link = $(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $(filter %.o %.c,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group
A = $(foreach f,$(1),$(B)/lib$(f).a)

$(B)/cradled: $(B)/role/cradled.o $(call A,role core store wire token crypt base)
	$(link) $(LIB_event) $(LIB_json) $(LIB_sqlite) $(LIB_seccomp) $(LIB_zstd) $(LIB_crypto)
$(B)/cradle: $(B)/cli/cradle.o $(call A,cli snap net wire token crypt base)
	$(link) $(LIB_curl) $(LIB_json) $(LIB_ssl)
$(B)/cradle-agent: $(B)/agent/cradle_agent.o $(call A,agent dev net wire token crypt base)
	$(link) $(LIB_curl) $(LIB_json) $(LIB_mosquitto) $(LIB_zstd) $(LIB_ssl)
$(B)/cradle-gate: $(B)/gate/cradle_gate.o $(call A,gate agent dev net wire token crypt base)
	$(link) $(LIB_curl) $(LIB_json) $(LIB_ssl)
$(B)/cradle-edge: $(B)/edge/cradle_edge.o $(call A,edge snap net wire crypt base)
	$(link) $(LIB_curl) $(LIB_event) $(LIB_json) $(LIB_ssl)
$(B)/cradle_mosquitto.so: $(call objs,plugin) $(call A,snap wire crypt base) src/plugin/plugin.map
	$(CC) $(CFLAGS_ALL) -shared -Wl,-z,relro,-z,now -Wl,--version-script=src/plugin/plugin.map $(filter -fsanitize% --coverage,$(HARDEN_$(VARIANT))) -o $@ $(filter %.o,$^) \
	  -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIB_json) $(LIB_ssl) -lpthread
# names that are not in its headers get a prefix: a firmware may have a der_next of its own. Its objects stay apart, so that only what is used is linked
$(B)/libcradle-dev.a: $(B)/libdev.a Makefile
	nm --defined-only $< | awk 'NF == 3 && $$2 ~ /[A-Z]/ && $$3 !~ /^cradle_/ { print $$3, "cradle_own_" $$3 }' | sort -u > $(B)/libdev.rename
	objcopy --redefine-syms=$(B)/libdev.rename $< $@
# libcradle-edge shows the names of its header only: the static one is linked into one object whose other names are made local
$(B)/libcradle-edge.so.0: $(B)/snap/edge_lib.o $(call A,snap wire crypt base) src/snap/edge_lib.map
	$(CC) $(CFLAGS_ALL) -shared -Wl,-soname,libcradle-edge.so.0 -Wl,-z,relro,-z,now -Wl,--version-script=src/snap/edge_lib.map \
	  $(filter -fsanitize% --coverage,$(HARDEN_$(VARIANT))) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIB_crypto) -lpthread
$(B)/libcradle-edge.a: $(B)/snap/edge_lib.o $(call A,snap wire crypt base)
	$(LD) -r -o $(B)/edge_lib_all.o $< --start-group $(filter %.a,$^) --end-group
	objcopy --wildcard --keep-global-symbol='cradle_edge_*' $(B)/edge_lib_all.o
	@rm -f $@
	ar rcs $@ $(B)/edge_lib_all.o

TEST_LIBS = $(call A,role core store cli net wire token crypt gate agent dev edge plugin snap base)
TEST_LINK = $(LIB_curl) $(LIB_event) $(LIB_json) $(LIB_sqlite) $(LIB_seccomp) $(LIB_mosquitto) $(LIB_zstd) $(LIB_ssl) -lpthread
$(B)/t/%: t/unit/%.c $(TEST_LIBS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -I. $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(TEST_LINK)
# tools are third parties: they link nothing of src/
$(B)/t/%: t/tool/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $< $(LIB_mosquitto) $(LIB_json) $(LIB_ssl) -lpthread
# a PKCS#11 module that tests put before a real one
$(B)/t/token: | $(B)/t/faulty_p11.so
$(B)/t/faulty_p11.so: t/module/faulty_p11.c src/token/abi.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -shared -o $@ $< -lpthread
$(B)/t/replay_%: t/fuzz/%.c t/fuzz/replay.h $(TEST_LIBS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -I. -DFUZZ_REPLAY $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(TEST_LINK)
$(B)/t/fuzz_%: t/fuzz/%.c $(TEST_LIBS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -I. -fsanitize=fuzzer $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(TEST_LINK)
$(B)/bench/%: bench/%.c $(TEST_LIBS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -I. $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(TEST_LINK)

# manual pages come out of the programs' own tables
man: $(PROGRAMS)
	@mkdir -p $(B)/man
	$(if $(filter %/cradled,$(PROGRAMS)),$(B)/cradled --man 8 > $(B)/man/cradled.8 && $(B)/cradled --man 5 > $(B)/man/cradled.conf.5)
	$(if $(filter %/cradle-edge,$(PROGRAMS)),$(B)/cradle-edge --man 8 > $(B)/man/cradle-edge.8 && $(B)/cradle-edge --man 5 > $(B)/man/cradle-edge.conf.5)
	$(if $(filter %/cradle-agent,$(PROGRAMS)),$(B)/cradle-agent --man 8 > $(B)/man/cradle-agent.8 && $(B)/cradle-agent --man 5 > $(B)/man/cradle-agent.conf.5)
	$(B)/cradle-gate --man 8 > $(B)/man/cradle-gate.8 && $(B)/cradle-gate --man 5 > $(B)/man/cradle-gate.conf.5
	$(B)/cradle --man cradle > $(B)/man/cradle.1
	$(B)/cradle --man alarm.conf > $(B)/man/cradle-alarm.conf.5
	for g in $$(sed -n 's/^\.Xr cradle-\([a-z-]*\) 1.*/\1/p' $(B)/man/cradle.1); do $(B)/cradle --man $$g > $(B)/man/cradle-$$g.1 || exit 1; done

UNITS_SYSTEMD := cradled.service cradle-edge.service cradle-agent.service cradle-alarm.service
fill = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|'
install: all man
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/cradle $(DESTDIR)$(PREFIX)/lib/pkgconfig \
	  $(DESTDIR)$(PREFIX)/include/cradle $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/sysusers.d \
	  $(DESTDIR)$(PREFIX)/lib/tmpfiles.d $(DESTDIR)$(PREFIX)/share/doc/cradle \
	  $(foreach n,1 5 8,$(DESTDIR)$(PREFIX)/share/man/man$(n))
	install -m 0755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	$(if $(PLUGIN),install -m 0644 $(PLUGIN) $(DESTDIR)$(PREFIX)/lib/cradle)
	$(if $(DEVLIB),install -m 0644 $(DEVLIB) $(DESTDIR)$(PREFIX)/lib)
	install -m 0644 $(EDGELIB) $(DESTDIR)$(PREFIX)/lib
	ln -sf libcradle-edge.so.0 $(DESTDIR)$(PREFIX)/lib/libcradle-edge.so
	install -m 0644 include/cradle/*.h $(DESTDIR)$(PREFIX)/include/cradle
	for p in cradle-dev cradle-edge; do $(fill) packaging/$$p.pc > $(DESTDIR)$(PREFIX)/lib/pkgconfig/$$p.pc || exit 1; done
	for u in $(UNITS_SYSTEMD); do $(fill) packaging/$$u > $(DESTDIR)$(PREFIX)/lib/systemd/system/$$u || exit 1; done
	install -m 0644 packaging/cradle.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/cradle.conf
	install -m 0644 packaging/cradle.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/cradle.conf
	for n in 1 5 8; do for p in $(B)/man/*.$$n; do [ ! -e $$p ] || install -m 0644 $$p $(DESTDIR)$(PREFIX)/share/man/man$$n || exit 1; done; done
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	$(B)/cradle completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/cradle
	install -m 0644 LICENSE $(wildcard README.md SECURITY.md CHANGELOG.md docs/*.md docs/openapi.yaml) $(DESTDIR)$(PREFIX)/share/doc/cradle
	install -d $(DESTDIR)$(PREFIX)/share/doc/cradle/recipes
	install -m 0644 docs/recipes/* $(DESTDIR)$(PREFIX)/share/doc/cradle/recipes
	install -d $(DESTDIR)$(PREFIX)/share/doc/cradle/examples/mcu $(DESTDIR)$(PREFIX)/share/doc/cradle/examples/psa
	install -m 0644 examples/mcu/* $(DESTDIR)$(PREFIX)/share/doc/cradle/examples/mcu
	install -m 0644 examples/psa/* $(DESTDIR)$(PREFIX)/share/doc/cradle/examples/psa

# what install would put there now; folders only when they are empty. Sites, configuration and keys are never touched
uninstall: all
	t=$$(mktemp -d) && $(MAKE) -s install DESTDIR=$$t && (cd $$t && find . ! -type d) | sed 's|^\.||' | while read -r f; do rm -f "$(DESTDIR)$$f"; done; \
	  for d in share/doc/cradle/examples/mcu share/doc/cradle/examples/psa share/doc/cradle/examples share/doc/cradle/recipes share/doc/cradle include/cradle lib/cradle; do \
	    rmdir "$(DESTDIR)$(PREFIX)/$$d" 2>/dev/null; done; rm -rf "$$t"

# long versions of tests in ./check; `make soak MINUTES=10`
MINUTES ?= 10
netns soak: all $(TOOLS) $(LOADS)
	CRADLE_BUILD=$(CURDIR)/$(B) sh t/$@.sh $(MINUTES)

# a fleet takes a rollout while the server is killed at random; two minutes of enrolling and ten of updates with a thousand
AGENTS ?= 1000
fleet: all $(B)/t/fleetrun
	CRADLE_BUILD=$(CURDIR)/$(B) sh t/scenario/fleet_short.sh $(AGENTS)

leak: all
	$(MAKE) VARIANT=asan all $(patsubst t/tool/%.c,build/asan/t/%,$(wildcard t/tool/*.c))
	sh t/leak.sh $(LOGINS) $(SANITIZED)

# code, RAM and stack of updates on a microcontroller; needs gcc-arm-none-eabi
mcu-size:
	@sh t/mcu_size.sh

# all tests in a chroot of another Debian, for Debian 13 those of t/trixie too: make debian13 SUITE=sid
SUITE ?= trixie
debian13:
	sh t/debian13.sh $(SUITE)

clean:
	rm -rf build

help:
	@echo "make [VARIANT=release|asan|tsan|fuzz|coverage] all    programs in build/VARIANT"
	@echo "make VARIANT=asan tests                              tests (run them with ./check)"
	@echo "make VARIANT=fuzz fuzzers                            libFuzzer targets (run them with t/fuzz.sh SECONDS)"
	@echo "make benches                                         benchmarks (run them with bench/run)"
	@echo "make debian13                                        all tests in Debian 13, with its OpenSSL, Mosquitto and peers, in a chroot (as root)"
	@echo "make netns                                           brokers cut from the server for 1 s, 10 s, 20 min (root; 22 minutes)"
	@echo "make soak MINUTES=10                                 kill -9 of every part at random under load, with a revocation a second"
	@echo "make fleet AGENTS=1000                               a rollout to so many agents while every role of the server is killed at random"
	@echo "make leak LOGINS=100000 SANITIZED=100000             does the broker keep anything of sessions that have ended?"
	@echo "make mcu-size                                        what updates cost on a microcontroller (needs gcc-arm-none-eabi)"
	@echo "make install DESTDIR=... PREFIX=/usr                 programs, plugin, libraries, units, man pages; make uninstall takes them away"

-include $(shell find $(B) -name '*.d' 2>/dev/null)

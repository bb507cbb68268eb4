# A thin front door; Meson and Ninja do the work.
BUILD ?= build
PREFIX ?= /usr/local
MESON_FLAGS ?=
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: build deps deps-build demo check bench stress sanitize install prefix clean

build: deps-build
	@[ -f $(BUILD)/build.ninja ] || meson setup --prefix $(PREFIX) $(MESON_FLAGS) $(BUILD)
	@ninja -C $(BUILD)

deps:
	@tools/install-packages.sh packages.txt

deps-build:
	@tools/install-packages.sh packages.txt build

demo: deps
	@[ -f $(BUILD)/build.ninja ] || meson setup --prefix $(PREFIX) $(MESON_FLAGS) $(BUILD)
	@ninja -C $(BUILD) dyntrace libdyntrace-agent.so
	@tests/demo.sh $(BUILD)

check: deps build
	@tests/check.py --again $(BUILD)

# All of it takes half an hour; ROWS=KEY,... measures some rows (ROWS=list prints the keys), QUICK=1 in one short round.
bench: deps build
	@bench/run.sh $(BUILD) $(if $(ROWS),--rows $(ROWS)) $(if $(QUICK),--quick)

# Ten times the work in every program, 1,000 attaches, a million addresses, a fault at (nearly) each system call of an attach: half an
# hour on a quiet machine, three times that on a busy one.
stress: deps build
	@tests/check.py $(BUILD) --suite stress

# The controller with AddressSanitizer and UndefinedBehaviorSanitizer; what goes into targets is as always.  Half an hour; all that
# is waited for has five times as long.  (With its check of strstr() each search would read its text to the end.)
sanitize: deps
	@[ -f $(BUILD)-sanitize/build.ninja ] || \
		meson setup --buildtype debugoptimized -Db_sanitize=address,undefined -Db_lundef=false $(BUILD)-sanitize
	@ninja -C $(BUILD)-sanitize
	@UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 ASAN_OPTIONS=intercept_strstr=0:verify_asan_link_order=0 \
		tests/check.py --slow 5 $(BUILD)-sanitize $(or $(TESTS),unit exec run real)

# With DESTDIR=FOLDER nobody else's rights are needed, and sudo would forget it.
install: prefix build
	@$(if $(DESTDIR),,$(SUDO)) meson install -C $(BUILD) $(if $(DESTDIR),--destdir "$(abspath $(DESTDIR))")

prefix:
	@[ ! -f $(BUILD)/build.ninja ] || [ "$(origin PREFIX)" = file ] || meson configure $(BUILD) --prefix $(PREFIX)

clean:
	@rm -rf $(BUILD)

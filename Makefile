# A thin front door; Meson and Ninja do the work.
BUILD ?= build
PREFIX ?= /usr/local
MESON_FLAGS ?=
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: build deps demo check bench stress sanitize install clean

build: deps
	@[ -f $(BUILD)/build.ninja ] || meson setup --prefix $(PREFIX) $(MESON_FLAGS) $(BUILD)
	@ninja -C $(BUILD)

deps:
	@tools/install-packages.sh packages.txt

demo: deps
	@[ -f $(BUILD)/build.ninja ] || meson setup --prefix $(PREFIX) $(MESON_FLAGS) $(BUILD)
	@ninja -C $(BUILD) dyntrace libdyntrace-agent.so
	@tests/demo.sh $(BUILD)

check: build
	@tests/check.py $(BUILD)

bench: build
	@bench/run.sh $(BUILD)

stress: build
	@tests/check.py $(BUILD) --suite stress

# The controller with AddressSanitizer and UndefinedBehaviorSanitizer; what goes into targets is as always.
sanitize: deps
	@[ -f $(BUILD)-sanitize/build.ninja ] || \
		meson setup --buildtype debugoptimized -Db_sanitize=address,undefined -Db_lundef=false $(BUILD)-sanitize
	@ninja -C $(BUILD)-sanitize
	@UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 tests/check.py --slow 5 $(BUILD)-sanitize $(or $(TESTS),unit exec run real)

install: build
	@$(SUDO) meson install -C $(BUILD)

clean:
	@rm -rf $(BUILD)

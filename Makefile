# A thin front door; Meson and Ninja do the work.
BUILD ?= build
PREFIX ?= /usr/local
MESON_FLAGS ?=
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: build deps demo check bench stress install clean

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

install: build
	@$(SUDO) meson install -C $(BUILD)

clean:
	@rm -rf $(BUILD)

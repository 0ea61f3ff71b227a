# The README's commands, and what developers type.
#   make demo        the main job on rehearsal hosts: three masters and their slaves from Mesos 0.13 to 0.14
#   make test        everything that fits in 20 minutes
#   make test-long   the rest
#   make bench       benchmarks
#   make lint        format and clippy, warnings denied

SHELL := /bin/sh
CARGO ?= cargo

.PHONY: demo test test-long bench lint prepare build

demo: prepare build
	tests/demo/run

test: prepare
	$(CARGO) test

test-long: prepare
	STAGGER_TEST_LONG=1 $(CARGO) test

bench: prepare
	$(CARGO) build --release
	tests/bench/run

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings

build:
	$(CARGO) build

prepare:
	@tests/prepare

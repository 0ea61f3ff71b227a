# The README's commands, and what developers type.
#   make demo        the main job on rehearsal hosts: three masters and their slaves from Mesos 0.13 to 0.14
#   make test        everything that fits in 20 minutes
#   make test-long   the rest
#   make simulate  playbooks, hosts, network, disk and clock from SEEDS=10000 seeds
#   make bench       benchmarks
#   make lint        format and clippy, warnings denied

SHELL := /bin/sh
CARGO ?= cargo

SEEDS ?= 10000

.PHONY: demo test test-long simulate bench lint prepare build

demo: prepare build
	tests/demo/run

test: prepare
	$(CARGO) test

test-long: prepare
	STAGGER_TEST_LONG=1 $(CARGO) test

simulate:
	STAGGER_SIMULATE_SEEDS=$(SEEDS) $(CARGO) test --lib simulation::whatever -- --nocapture

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

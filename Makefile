# kafkasync: `make` shows what there is. Needs Go, gcc (librdkafka is linked with
# cgo), a JDK with Maven for the servers of the tests; the rest installs itself.
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
CACHE       := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kafkasync
# The exact version: another one knows other rules, and `make lint` would depend on the machine.
LINT        := $(CACHE)/bin/golangci-lint-v2.12.2/golangci-lint
# A cache of this checkout alone: found in that of another one, an issue keeps the other's path and slips past the exclusions by path.
export GOLANGCI_LINT_CACHE := $(CURDIR)/.cache/golangci-lint
T           ?= 30s
MINUTES     ?= 30
SEED        ?=
export CGO_ENABLED := 1
.DEFAULT_GOAL := help
.PHONY: help all build demo test soak chaos chaos-consumers short lint fmt bench servers fuzz versions

help: ## What there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile | expand -t 24

all: test build ## Everything a change has to pass, and the binary

build: ## bin/kafkasync
	go build -trimpath -o bin/kafkasync ./cmd/kafkasync

demo: build ## The whole system on this machine, in under a minute
	bin/kafkasync demo

test: lint ## Lint, vet, build and every test, against real servers that it starts itself
	go vet ./... && go build ./...
	@# The longest packages first, or they would run alone in the end. Three at a time, since tests wait for most of their time.
	go test -race -shuffle=on -p 3 -timeout 30m ./e2e ./source/postgres ./source/mysql ./delayer ./...
	cd examples && go vet ./... && go test -shuffle=on -timeout 10m ./...

soak: ## The long variants of the whole-system tests: 100 kills, an UPDATE of 5 million rows in one transaction, Kafka away for long, delayers lost under load
	E2E_KILLS=100 E2E_ROWS=5000000 E2E_SOAK=1 go test -count=1 -v -timeout 90m ./e2e
	E2E_SOAK=1 go test -count=1 -v -timeout 20m -run TestUnderLoad ./delayer

chaos: ## Three nodes under load and faults of every kind, MINUTES=30 of them, at random: SEED=... repeats the choices; SOURCE=mysql, SOURCE=mariadb
	@# First, that builds with a bug that somebody planted do not survive it.
	E2E_CHAOS_SOURCE=$(SOURCE) E2E_CHAOS_MINUTES=$(MINUTES) E2E_SEED=$(SEED) go test -count=1 -v -timeout $$(( $(MINUTES) + 60 ))m -run '^TestThePlantedBugs|^TestChaos$$' ./e2e

chaos-consumers: ## An index and a cache fed by consumers that are killed, frozen and moved about, MINUTES=30 of that; SEED=... repeats the choices
	E2E_CONSUMERS_MINUTES=$(MINUTES) E2E_SEED=$(SEED) go test -count=1 -v -timeout $$(( $(MINUTES) + 30 ))m -run '^TestConsumersFollowTheTable$$' ./e2e

versions: ## The tests of the Postgres source on each version from 14 to 18
	@# 14 has no publication with row filters, column lists or whole schemas.
	DEVTEST_POSTGRES=14 go test -count=1 ./source/postgres -skip 'TestAPublicationIsReadWithWhatItHides|TestATableOfAPublishedSchemaJoinsByItself|/a_column_list|/a_row_filter|/a_publication_with_a_filter'
	for v in 15 16; do DEVTEST_POSTGRES=$$v go test -count=1 ./source/postgres; done
	@# From 17 on a physical slot, in the place of ours, is taken for that of a standby as well.
	for v in 17 18; do DEVTEST_POSTGRES=$$v go test -count=1 ./source/postgres -skip '/a_physical_slot'; done

short: ## The unit tests only: no servers, seconds
	go test -short -shuffle=on ./...

lint: $(LINT) ## golangci-lint, with the import rules
	$(LINT) run ./...
	cd deploy/lint && $(LINT) run ./...
	cd examples && $(LINT) run ./...

fmt: $(LINT) ## Formats the code and fixes what can be fixed by itself
	$(LINT) run --fix ./...

bench: ## The comparison benchmarks; results in bench/out; SOURCE=mysql, SOURCE=mariadb
	go run ./bench -source $(or $(SOURCE),postgres)

servers: ## Real Postgres and Kafka on this machine, to play with, until Ctrl-C; SOURCE=mysql, SOURCE=mariadb
	go build -o bin/servers ./internal/devstack/servers
	@# Not by go run, which leaves its program behind when it is terminated.
	bin/servers -source $(or $(SOURCE),postgres)

fuzz: ## Every fuzz target in turn, T=30s each
	@grep -rno --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed -E 's|/[^/]*:[0-9]+:func | |' | while read -r dir name; do \
		echo "$$dir $$name"; go test "$$dir" -run '^$$' -fuzz "^$$name$$" -fuzztime $(T) </dev/null; done

$(LINT):
	GOBIN=$(@D) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.12.2

# Everything that one does with the sources. `make` alone lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Builds are without C: one static binary. The race detector alone needs C, so only tests turn it on. A test
# build then compiles the C SQLite that gorm's dialect brings along and nothing here opens: -O0 makes that
# seconds instead of a minute.
export CGO_ENABLED := 0
RACE := CGO_ENABLED=1 CGO_CFLAGS='-O0 -g0' go

# Services find one another by addresses or etcd. Leaving go-zero's Kubernetes discovery out takes 445 packages and
# half of the bytes out of the program.
export GOFLAGS := $(strip $(shell go env GOFLAGS) -tags=no_k8s)

# What `make gen` writes.
GENERATED := internal/pb internal/httpapi/types_gen.go 'internal/*/api_gen.go' api/openapi.json web/src/api/schema.gen.ts

UI_SOURCES := $(shell find web/src web/public web/index.html web/vite.config.ts web/package.json web/tsconfig*.json -type f 2>/dev/null)

tool = $$(tools/scripts/tool.sh $(1))

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# --- build and run -------------------------------------------------------------------------------------------

.PHONY: run
run: build ## build everything and serve the drive; ARGS='--data DIR' are passed on
	bin/gopan serve $(ARGS)

.PHONY: build
build: ui ## build bin/gopan, the UI included
	go build -ldflags '-s -w -X main.version=$(VERSION)' -o bin/gopan ./cmd/gopan

.PHONY: ui
ui: web/dist/index.html ## build the browser UI if its sources changed

web/dist/index.html: web/node_modules/.package-lock.json $(UI_SOURCES)
	cd web && npm run build
	@touch $@

# npm leaves this file in the tree that it made.
web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci
	@touch $@

# --- generated code ------------------------------------------------------------------------------------------

.PHONY: gen
gen: web/node_modules/.package-lock.json ## write the generated code anew from api/*.api and api/*.proto
	PATH="$$(dirname $(call tool,protoc-gen-go)):$$(dirname $(call tool,protoc-gen-go-grpc)):$$PATH" \
	  $(call tool,buf) generate
	go run -C tools ./apigen -root ..
	cd web && npm run gen

.PHONY: check-gen
check-gen: gen ## fail unless the committed generated code is what gen writes
	@git --no-pager diff --exit-code -- $(GENERATED) || { echo 'generated code differs: run "make gen" and commit' >&2; exit 1; }
	@new=$$(git ls-files --others --exclude-standard -- $(GENERATED)); [ -z "$$new" ] || \
	  { printf 'generated, but not in git:\n%s\n' "$$new" >&2; exit 1; }

# --- checks --------------------------------------------------------------------------------------------------

.PHONY: lint
lint: lint-go lint-web ## format, vet, staticcheck, golangci-lint, tidy, buf; eslint and types of the UI

.PHONY: lint-go
lint-go: ## the Go half of lint
	@tools/scripts/lint-go.sh

.PHONY: lint-web
lint-web: web/node_modules/.package-lock.json ## the UI half of lint
	cd web && npm run lint && npm run typecheck

.PHONY: vuln
vuln: ## look our dependencies up in the Go vulnerability database; VULNDB=FILE.tar.gz or DIR for a copy of it
	@tools/scripts/vuln.sh "$(call tool,govulncheck)"

# --- tests ---------------------------------------------------------------------------------------------------

.PHONY: test
test: ui test-go test-web test-e2e ## all tests; installs a C compiler and Chromium if they are missing and it may

.PHONY: test-go
test-go: ## Go tests under the race detector
	@tools/scripts/need-cc.sh
	@tools/scripts/need-docs.sh
	@tools/scripts/need-stores.sh
	@tools/scripts/need-rclone.sh
	$(RACE) test -race -vet=off -timeout 15m ./...
	$(RACE) -C tools test -race -vet=off -timeout 15m ./...
	$(RACE) -C tools/cluster test -race -vet=off -timeout 15m ./...

.PHONY: test-faults
test-faults: ## kill the program at each of its fault points, and again and again under load; CAMPAIGN=10m SEED=7 for a longer one
	GOFLAGS=-tags=no_k8s,faults go test -vet=off -timeout 1h -count=1 -v -run Killed ./cmd/gopan

.PHONY: test-stores
test-stores: ## Go tests of the object stores alone, against MinIO and a Versity gateway
	@tools/scripts/need-stores.sh
	go test ./internal/blob/...

.PHONY: test-s3-live
test-s3-live: ## test a bucket of S3 itself: GOPAN_LIVE_ENDPOINT, _REGION, _BUCKET, _ID and _KEY say which
	go test -tags=no_k8s,live -count=1 -run Live -timeout 60m -v ./internal/blob/s3

.PHONY: test-cos-live
test-cos-live: ## test a bucket of COS itself: GOPAN_LIVE_REGION, _BUCKET, _ID and _KEY say which
	go test -tags=no_k8s,live -count=1 -run Live -timeout 60m -v ./internal/blob/cos

.PHONY: test-web
test-web: web/node_modules/.package-lock.json ## the UI's unit tests
	cd web && npm test

.PHONY: test-e2e
test-e2e: build ## the story of a user, walked by a real browser against bin/gopan
	@tools/scripts/need-chromium.sh
	node tools/scripts/e2e.mjs

.PHONY: test-fuzz
test-fuzz: ## run every fuzzer for 10 seconds (FUZZTIME=1m for longer)
	@FUZZTIME=$(FUZZTIME) tools/scripts/fuzz.sh

# --- the cluster ---------------------------------------------------------------------------------------------

cluster = go run -C tools/cluster . -root ../..

.PHONY: cluster-up
cluster-up: build ## start all that a cluster runs on, and the drive on it; ONLY='mysql redis' for some of it
	@$(cluster) up $(ONLY)

.PHONY: cluster-down
cluster-down: ## stop it; data and logs stay in .cluster
	@$(cluster) down $(ONLY)

.PHONY: cluster-status
cluster-status: ## tell which processes of it run
	@$(cluster) status

.PHONY: test-cluster
test-cluster: build ## tests against real servers of everything that a cluster runs on; starts and stops them
	@tools/scripts/test-cluster.sh

.PHONY: campaign
campaign: cluster-up ## kill, pause and restart what runs in the cluster while clients write and read, and check what they see; ARGS='-duration 10m'
	@$(cluster) campaign $(ARGS)

# --- measurements --------------------------------------------------------------------------------------------

.PHONY: bench
bench: build ## measure the drive beside the disk and nginx; ARGS='-quick -only put,get' are passed on
	go build -C tools/bench -trimpath -o ../../bin/bench .
	bin/bench $(ARGS)

.PHONY: bench-sqlite
bench-sqlite: ## compare the SQLite drivers, without C and with it
	go -C tools/sqlitebench test -run '^$$' -bench .
	CGO_ENABLED=1 go -C tools/sqlitebench test -run '^$$' -bench .

.PHONY: clean
clean: ## remove what was built; data folders and web/node_modules stay
	rm -rf bin .cache web/test-results web/playwright-report
	find web/dist -mindepth 1 ! -name .gitkeep -delete

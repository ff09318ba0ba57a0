# Everything a developer or CI does here. `make` alone explains.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# What `fairlead version` says. Name it where there is no git history.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# Handed on by `make run` and `make bench`, as in: make run ARGS="--listen 127.0.0.1:9000"
ARGS ?=
FUZZTIME ?= 30s
# make test STAGES="test-unit test-race" runs a part.
STAGES ?= setup vet lint test-unit test-race test-integration test-browser test-image

# The product has no C in it, and neither has what is checked, so that vet, lint,
# unit tests and the binary share one set of compiled packages. Only the race
# detector needs C.
export CGO_ENABLED := 0

# What the tests under test/ are told. An absolute path each: go test runs a
# test in its own folder.
TEST_ENV = FAIRLEAD_BIN="$(CURDIR)/bin/fairlead" \
	NODE_PATH="$(CURDIR)/test/interop/node_modules" \
	PYTHON="$(CURDIR)/.tools/venv/bin/python" \
	CHROMIUM="$$(scripts/find-program.sh chromium)" \
	REDIS_SERVER="$$(scripts/find-program.sh redis-server)"

##@ Use

.PHONY: run
run: build ## Build the server and run it; it says where its console is
	exec bin/fairlead serve $(ARGS)

.PHONY: two-tasks
two-tasks: build ## Run a broker and two tasks that share its channels (docs/two-tasks.md)
	exec scripts/two-tasks.sh

.PHONY: build
build: need-go ## Build bin/fairlead, static, without debug symbols
	go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION)" -o bin/fairlead ./cmd/fairlead

.PHONY: image
image: need-go ## Build bin/fairlead-image.tar (OCI, arm64 and amd64), no container engine needed
	go -C build/image run . -version "$(VERSION)" -out "$(CURDIR)/bin/fairlead-image.tar"

##@ Check

.PHONY: test
test: ## Everything below in this order, stopping at the first failure
	@scripts/stages.sh $(STAGES)

.PHONY: setup
setup: ## Install what the tests need and is not there yet
	@scripts/setup.sh

.PHONY: vet
vet: need-go ## go vet, for this system and for macOS (the engine's portable half)
	go vet -tags integration ./...
	go -C build/image vet ./...
	GOOS=darwin GOARCH=arm64 go vet ./cmd/... ./internal/...

.PHONY: lint
lint: need-go ## golangci-lint, go.mod and go.sum, in every module
	@scripts/lint.sh

.PHONY: test-unit
test-unit: need-go ## Tests that need nothing but Go, the house rules among them
	go test -timeout 5m ./...

.PHONY: test-race
test-race: need-go ## The same under the race detector
	CGO_ENABLED=1 go test -race -timeout 10m ./...

.PHONY: test-integration
test-integration: setup build ## The binary against clients and servers that others wrote
	@packages=$$(go list -tags integration ./test/... | grep -v -e /test/browser -e /test/house); \
	echo go test -tags integration $$packages; \
	$(TEST_ENV) go test -tags integration -count=1 -timeout 5m $$packages

.PHONY: test-browser
test-browser: setup build ## The console in a headless browser
	@echo go test -tags integration ./test/browser/...; \
	$(TEST_ENV) go test -tags integration -count=1 -timeout 5m ./test/browser/...

.PHONY: test-image
test-image: need-go ## Build the image twice, open it and look at every part
	go -C build/image test -count=1 -timeout 10m ./...

##@ Measure

.PHONY: bench
bench: need-go ## Memory, CPU and speed of the server on this machine, and beside others
	go run ./bench/measure $(ARGS)

.PHONY: bench-micro
bench-micro: need-go ## Go benchmarks of every package
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: fuzz
fuzz: need-go ## Every fuzz target for FUZZTIME (30s) each
	@scripts/fuzz.sh $(FUZZTIME)

##@ Else

.PHONY: clean
clean: ## Remove what was built or set up here; installed packages stay
	rm -rf bin .tools test/interop/node_modules test/jsclient/node_modules

.PHONY: help
help: ## This text
	@awk 'BEGIN { FS = ":.*## "; print "make TARGET" } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'Start with `make run`. On Debian or Ubuntu as root `make test` installs what it'
	@echo 'needs beyond Go, Node.js, Python 3 and a C compiler; elsewhere it says what is missing.'

# Go before 1.21 cannot read go.mod and says so in riddles; a later one fetches
# the right toolchain or says what it wants.
.PHONY: need-go
need-go:
	@case "$$(go version 2>&1)" in \
	*' go1.'[0-9].* | *' go1.1'* | *' go1.20'*) echo "$$(go version) is too old: Fairlead is built with Go 1.26 or later, https://go.dev/dl/" >&2; exit 1 ;; \
	*' go1.'*) ;; \
	*) echo 'go was not found: Fairlead is built with Go 1.26 or later, https://go.dev/dl/' >&2; exit 1 ;; \
	esac

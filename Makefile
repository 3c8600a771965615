# What people and CI call. `make help` lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help

CUSTOMERS := cargo run --profile quick --quiet --package customers-server --

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: needs ## Build and serve, on SQLite unless DATABASE_URL says otherwise.
	@cargo build --profile quick --package customers-server --bins
	@$(CUSTOMERS) serve --first-token

.PHONY: install
install: needs ## Put `customers` where Cargo puts programs (~/.cargo/bin), from the build of `make run`.
	cargo install --locked --profile quick --path crates/server

.PHONY: test
test: needs ## Run all tests, on SQLite and on a PostgreSQL that is started for them.
	@scripts/test-tools
	@scripts/openapi/tools
	@scripts/clients/tools
	scripts/with-postgres cargo test --workspace --all-features
	@# A short run, the same every time.
	FUZZ_EXAMPLES=5 FUZZ_PHASES=examples,fuzzing,stateful FUZZ_SEED=1 scripts/with-postgres scripts/openapi/fuzz

.PHONY: fuzz
fuzz: needs ## Call the service by its OpenAPI document, at length (FUZZ_EXAMPLES, FUZZ_SEED).
	@scripts/test-tools
	@scripts/openapi/tools
	cargo build --package customers-server
	scripts/with-postgres scripts/openapi/fuzz

.PHONY: lint
lint: ## Check formatting, lints, documentation, the OpenAPI document and the domain's package.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features
	@scripts/openapi/lint
	@scripts/domain

.PHONY: domain
domain: ## Check customers-domain as others use it: each feature by itself, its package and interface.
	@scripts/domain
	cargo test --package customers-domain --all-features

.PHONY: layers
layers: ## Check that no crate depends on what it must not name.
	@scripts/layers

.PHONY: openapi
openapi: needs ## Write openapi/openapi.json and openapi/client.json anew.
	@$(CUSTOMERS) openapi > openapi/openapi.json
	@$(CUSTOMERS) openapi --client > openapi/client.json

.PHONY: package
package: needs ## Make a Debian package in target/deploy.
	cargo build --release --package customers-server --bins
	@scripts/deploy/package

.PHONY: deploy-test
deploy-test: needs ## As root: try the package, its units and proxies in a container (docs/DEPLOYMENT.md).
	scripts/deploy/test

.PHONY: upgrade-test
upgrade-test: needs ## Upgrade two servers from the version of OLD=COMMIT behind HAProxy, under load.
	@scripts/test-tools
	scripts/deploy/upgrade-test $(or $(OLD),$(error upgrade-test: name a commit with OLD=))

.PHONY: bench
bench: needs ## Measure against the limits of this machine (BENCH_ROWS, BENCH_ONLY, BENCH_SECONDS, BENCH_ROUNDS).
	@scripts/test-tools
	cargo build --release --package customers-server --bins --example fixed_bytes
	POSTGRES_DURABLE=1 scripts/with-postgres python3 scripts/bench/bench.py

.PHONY: bench-instructions
bench-instructions: needs ## Count the instructions of a read, a page and a create, with valgrind.
	cargo build --profile profiling --package customers-server --bins
	BENCH_BINARY=$(or $(CARGO_TARGET_DIR),target)/profiling/customers python3 scripts/bench/instructions.py

.PHONY: soak-week
soak-week: needs ## Simulate a week on both databases beside steady traffic (WEEK="--customers 1000000 --day 60").
	@scripts/test-tools
	cargo build --release --package customers-server --bins
	POSTGRES_DURABLE=1 scripts/with-postgres python3 scripts/soak/week.py $(WEEK)

# What a build takes beside Rust: SQLite, OpenSSL and libpq are compiled from source.
.PHONY: needs
needs:
	@for tool in cargo cc make perl; do \
		command -v $$tool > /dev/null || { \
			echo "error: $$tool is missing. Needed are a Rust toolchain (https://rustup.rs), a C compiler, make and perl; on Debian: apt-get install build-essential perl" >&2; \
			exit 1; \
		}; \
	done

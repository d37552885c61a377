# Thin recipes: what they call is the product. `make demo` needs root on Debian 12 with Go, Rust and Python 3.11.
CARGO  ?= cargo
BIN     = $(or $(CARGO_TARGET_DIR),target)/debug
SANDBOX = $(BIN)/sandbox
TARGET  = x86_64-unknown-linux-musl
RUFF    = sandbox/aws app/benches provisioner/benches provisioner/tests/monitoring provisioner/tests/browser

.DEFAULT_GOAL := help
.PHONY: promtool monitoring dashboards bench-images cert-manager operator checkov help demo down setup install build check lint unit fuzz venv python e2e image-tools image-check test test-full bench-app bench-apply bench-load browser bench-scaling bench-scale docs workflows deny

help: ## this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: ## everything, from nothing to 10 pods and back, on the sandbox
	$(CARGO) build -p sandbox
	@$(MAKE) --no-print-directory -j2 install build
	$(SANDBOX) up
	@set -e; env=$$($(SANDBOX) env); eval "$$env"; set -x; \
	$(BIN)/provisioner bootstrap --cluster demo --create-cluster --without grafana --poll-interval 1s --yes; \
	$(BIN)/provisioner load --cluster demo --rate 100 --duration 60s --until-scaled --picture $(BIN)/load.svg
	@printf '%s\n' '' 'look around   env=$$($(SANDBOX) env) && eval "$$env" && export PATH="$(abspath $(BIN)):$(CURDIR)/.sandbox/bin:$$PATH"' \
	  '              provisioner status --cluster demo --watch; provisioner dashboard --cluster demo; kubectl get pods -A' 'remove it     make down'

down: ## remove the demo and the sandbox
	-@env=$$($(SANDBOX) env) && eval "$$env" && $(BIN)/provisioner teardown --cluster demo --delete-cluster --poll-interval 1s --yes
	$(SANDBOX) down

setup: ## the compile target of the static image; falls back to static glibc where it cannot be had
	@rustup target list --installed 2>/dev/null | grep -qx $(TARGET) || rustup target add $(TARGET) \
	  || echo "warning: $(TARGET) cannot be had here; the image is built with static glibc instead"

install:
	$(SANDBOX) install

build: setup ## the programs
	$(CARGO) build --workspace --bins

lint: ## formatting and lints, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@! command -v gofmt >/dev/null || test -z "$$(gofmt -l sandbox/kubernetes provisioner/tests)" || { gofmt -d sandbox/kubernetes provisioner/tests; exit 1; }

unit: ## tests that need neither root nor a sandbox
	$(CARGO) test --workspace --lib --bins --test it

check: lint unit ## lints and fast tests

FUZZ_SECONDS ?= 60

fuzz: ## foreign bytes into everything that reads some, for FUZZ_SECONDS; a finding says how to repeat it
	$(CARGO) test --workspace --test fuzz -- --seconds $(FUZZ_SECONDS)

venv: target/aws-venv/.made ## the Python tools of the tests, pinned

target/aws-venv/.made: sandbox/aws/requirements.txt sandbox/aws/requirements-dev.txt
	python3 -m venv --clear target/aws-venv
	target/aws-venv/bin/pip install --quiet --require-hashes -r sandbox/aws/requirements.txt -r sandbox/aws/requirements-dev.txt
	touch $@

python: venv ## tests of the AWS endpoint, lints of the foundation's template, and whether each benchmark still starts
	target/aws-venv/bin/ruff check $(RUFF) && target/aws-venv/bin/ruff format --check $(RUFF)
	target/aws-venv/bin/cfn-lint provisioner/src/aws/foundation.json
	cd sandbox/aws && ../../target/aws-venv/bin/python -m pytest -q
	for script in $(filter-out %/page.py %/sandbox.py %/objects.py %/peer.py %/servers.py %/scale_cluster.py %/scale_readings.py %/scale_tables.py %/kills.py,$(wildcard provisioner/benches/*.py app/benches/*.py)); do PYTHONPATH=provisioner/benches python3 $$script --help >/dev/null || exit 1; done

CHECKOV = target/checkov-venv/bin/checkov --config-file .checkov.yaml

target/checkov-venv/.made: provisioner/tests/checkov/requirements.txt
	python3 -m venv --clear target/checkov-venv
	target/checkov-venv/bin/pip install --quiet --require-hashes -r provisioner/tests/checkov/requirements.txt
	touch $@

checkov: target/checkov-venv/.made ## checkov over the rendered manifests, the foundation's template and the Dockerfile
	rm -rf target/rendered
	RENDER_TO=$(abspath target/rendered) $(CARGO) test -q --workspace --lib -- --ignored --exact \
	  cluster::render_tests::manifests_are_rendered_into_a_folder
	test -s target/rendered/app.yaml
	$(CHECKOV) --directory target/rendered
	$(CHECKOV) --file Dockerfile provisioner/src/aws/foundation.json

cert-manager: target/cert-manager/.made ## cert-manager's own controllers and kinds, for the tests

target/cert-manager/.made: $(addprefix provisioner/tests/cert-manager/,go.mod go.sum main.go)
	rm -rf target/cert-manager && mkdir -p target/cert-manager/crds
	CGO_ENABLED=0 go -C provisioner/tests/cert-manager build -trimpath -ldflags '-s -w' -o $(abspath target/cert-manager)/cert-manager .
	cp $$(go -C provisioner/tests/cert-manager list -m -f '{{.Dir}}' github.com/cert-manager/cert-manager)/deploy/crds/cert-manager.io_*.yaml \
	  target/cert-manager/crds
	touch $@

operator: target/operator/.made ## the Prometheus operator itself, its config reloader and kinds, for the tests

OPERATOR = github.com/prometheus-operator/prometheus-operator

target/operator/.made: $(addprefix provisioner/tests/operator/,go.mod go.sum)
	rm -rf target/operator && mkdir -p target/operator/crds
	CGO_ENABLED=0 go -C provisioner/tests/operator build -trimpath -ldflags '-s -w' -o $(abspath target/operator)/ \
	  $(OPERATOR)/cmd/operator $(OPERATOR)/cmd/prometheus-config-reloader
	cp $$(go -C provisioner/tests/operator list -m -f '{{.Dir}}' $(OPERATOR))/example/prometheus-operator-crd/*.yaml target/operator/crds
	chmod -R u+w target/operator
	touch $@

e2e: build venv ## the flows on the sandbox; it is started and left running
	$(SANDBOX) up
	env=$$($(SANDBOX) env) && eval "$$env" && $(CARGO) test --workspace --test e2e -- --test-threads=1

MONITORING = provisioner/tests/monitoring

promtool: target/promtool ## Prometheus' checker, pinned to the Prometheus of the sandbox

# The tags leave out the service discoveries that we do not use: with them a compile step needs 3 GB.
target/promtool: $(MONITORING)/go.mod $(MONITORING)/go.sum
	CGO_ENABLED=0 go -C $(MONITORING) build -tags remove_all_sd,enable_kubernetes_sd -ldflags '-s -w' \
	  -o $(abspath $@) github.com/prometheus/prometheus/cmd/promtool

monitoring: promtool ## rules, alerts and every query, read and run by promtool
	$(CARGO) test --workspace --lib -- --ignored promtool

target/dashboards-venv/.made: $(MONITORING)/requirements.txt
	python3 -m venv --clear target/dashboards-venv
	target/dashboards-venv/bin/pip install --quiet --require-hashes -r $<
	touch $@

dashboards: target/dashboards-venv/.made ## dashboards, read and written with Grafana's schemas
	target/dashboards-venv/bin/python $(MONITORING)/dashboards.py grafana/*.json

browser: build ## the dashboard's page in Chromium: light, dark, narrow, by keys; pictures go to target/browser
	@command -v chromium >/dev/null || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium; }
	python3 provisioner/tests/browser/check.py --provisioner $(BIN)/provisioner --pictures target/browser

WORKFLOWS = provisioner/tests/workflows

target/actionlint: $(WORKFLOWS)/go.mod $(WORKFLOWS)/go.sum
	CGO_ENABLED=0 go -C $(WORKFLOWS) build -ldflags '-s -w' -o $(abspath $@) github.com/rhysd/actionlint/cmd/actionlint

target/workflows-venv/.made: $(WORKFLOWS)/requirements.txt
	python3 -m venv --clear target/workflows-venv
	target/workflows-venv/bin/pip install --quiet --require-hashes -r $<
	touch $@

workflows: target/actionlint target/workflows-venv/.made ## GitHub workflows, read by actionlint and zizmor
	target/actionlint
	target/workflows-venv/bin/zizmor --offline --pedantic --quiet .github

CARGO_DENY = target/tools/bin/cargo-deny

$(CARGO_DENY):
	$(CARGO) install cargo-deny --version 0.20.2 --locked --debug --root target/tools

deny: $(CARGO_DENY) ## licences, sources and versions of dependencies; advisories too where their database can be reached
	$(CARGO_DENY) check bans licenses sources
	@if $(CARGO_DENY) fetch db >/dev/null 2>&1; then $(CARGO_DENY) check advisories; else echo "warning: no advisories: their database cannot be reached"; fi

docs: ## the pages of commands and settings, made from the program
	UPDATE_DOCS=1 $(CARGO) test -q --workspace --lib -- reference::

CRANE = $(abspath target/bench/crane)

image-tools: # Debian's buildah and skopeo; crane, pinned in its own Go module; the compile target of the other platform
	rustup target add aarch64-unknown-linux-musl
	@command -v buildah >/dev/null && command -v skopeo >/dev/null || \
	  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends buildah skopeo; }
	go -C provisioner/benches/crane build -o $(CRANE) github.com/google/go-containerregistry/cmd/crane

image-check: build image-tools ## buildah, skopeo and crane make and take the image that `push` makes
	$(SANDBOX) up
	env=$$($(SANDBOX) env) && eval "$$env" && $(CARGO) test --workspace --test e2e -- --nocapture --ignored --test-threads=1 dockerfile tools

test: lint build ## what CI runs: lints, unit, integration, sandbox, end to end
	$(SANDBOX) down
	$(MAKE) unit
	$(CARGO) test --workspace --test lifecycle -- --test-threads=1
	$(MAKE) python
	$(MAKE) monitoring dashboards workflows deny
	$(MAKE) e2e
	$(SANDBOX) down

STARTED := $(shell date +%s)

# What has to be fetched comes first: a machine that cannot have it is told so in the first minutes.
test-full: lint image-tools cert-manager operator checkov test ## everything: also each kill point, each missing IAM action, outages, and the image built in two folders
	$(CARGO) test --workspace --lib -- --ignored two_folders
	$(CARGO) test --workspace --test it -- --ignored full_disk
	$(CARGO) test -p app --no-default-features --bins --test it
	$(MAKE) fuzz
	$(SANDBOX) up
	env=$$($(SANDBOX) env) && eval "$$env" && $(CARGO) test --workspace --test e2e -- --test-threads=1 --nocapture --ignored
	$(SANDBOX) down
	@echo "all of it in $$((($$(date +%s) - $(STARTED)) / 60)) minutes"

bench-images: build image-tools ## pushes beside skopeo and crane, written to docs/benchmarks.md
	$(CARGO) build --release --workspace --bins
	$(SANDBOX) up
	env=$$($(SANDBOX) env) && eval "$$env" && python3 provisioner/benches/images.py \
	  --provisioner $(abspath $(BIN))/../release/provisioner --crane $(CRANE)

bench-apply: build ## applies beside `kubectl apply --server-side`, written to docs/benchmarks.md
	$(CARGO) build --release --workspace --bins
	$(SANDBOX) up
	env=$$($(SANDBOX) env) && eval "$$env" && python3 provisioner/benches/apply.py \
	  --provisioner $(abspath $(BIN))/../release/provisioner

target/bench-app-venv/.made: app/benches/requirements.txt
	python3 -m venv --clear target/bench-app-venv
	target/bench-app-venv/bin/pip install --quiet --require-hashes -r $<
	touch $@

IMAGE = $(CARGO) build --profile image --target $(TARGET) -p app

# Programs as they are in the image, built one by one: features of tests are not to get in.
bench-app: setup target/bench-app-venv/.made ## the service beside bare axum and Flask, written to docs/benchmarks.md
	@command -v wrk >/dev/null || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends wrk; }
	mkdir -p target/bench
	$(IMAGE) --bin app --no-default-features && cp $(BIN)/../$(TARGET)/image/app target/bench/app-plain
	$(IMAGE) --bin app && cp $(BIN)/../$(TARGET)/image/app target/bench/app
	$(IMAGE) --example bare
	PYTHONPATH=provisioner/benches python3 app/benches/service.py --app target/bench/app --plain target/bench/app-plain \
	  --bare $(BIN)/../$(TARGET)/image/examples/bare --gunicorn target/bench-app-venv/bin/gunicorn

OHA = $(abspath target/bench/bin/oha)

$(OHA):
	$(CARGO) install oha --version 1.16.0 --locked --root target/bench

bench-load: $(OHA) ## the load generator beside oha, written to docs/benchmarks.md
	$(CARGO) build --release --workspace --bins
	python3 provisioner/benches/load.py --app $(abspath $(BIN))/../release/app --oha $(OHA)

SCALING ?= # e.g. --parts fast --starts 4, or --steady --minutes 10

bench-scaling: build ## how fast and how calmly the stack scales (an hour; SCALING chooses parts), written to docs/benchmarks.md
	$(SANDBOX) up
	env=$$($(SANDBOX) env) && eval "$$env" && python3 provisioner/benches/scaling.py --provisioner $(abspath $(BIN))/provisioner $(SCALING)

SCALE ?= # e.g. --pods 1,10,100,300,1000, or --reactions fast,seed

bench-scale: build ## what one Prometheus and one adapter carry at 1 to 1000 pods (15 minutes), written to docs/scale.md
	$(SANDBOX) up
	env=$$($(SANDBOX) env) && eval "$$env" && python3 provisioner/benches/scale.py --provisioner $(abspath $(BIN))/provisioner \
	  --app $(abspath $(BIN))/app $(SCALE)

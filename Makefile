# Plate Resort. `make help` lists the targets.

.NOTPARALLEL:

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

.PHONY: build
build: ## build ./plate-resort, statically linked
	CGO_ENABLED=0 go build -trimpath -o plate-resort .

.PHONY: packages
packages: ## make dist/plate-resort_VERSION_ARCH.deb for arm64, armhf and amd64; VERSION=1.2.0 or that of git
	@deploy/packages.sh

.PHONY: demo
demo: ## run a simulated device, a broker and the dashboard on this machine
	go run . demo

.PHONY: test
test: install check ## install, check, and run all tests
	go test -race -count=1 -timeout=10m -tags=e2e ./...
	cd mqtt/natstest && go test -race -count=1 -timeout=5m ./...

.PHONY: soak
soak: install ## put every promise of RELIABILITY.md to the test at length: more than an hour
	@.ci/soak

.PHONY: bench
bench: install ## measure every figure of PERFORMANCE.md against its goal; leave the machine alone meanwhile
	@.ci/bench

.PHONY: check
check: ## format, vet, staticcheck, and compile for the other systems
	@echo 'gofmt -d .'; diff=$$(gofmt -d .) && test -z "$$diff" || { echo "$$diff"; exit 1; }
	go vet ./...
	go vet -tags e2e,figures ./...
	go tool -modfile=.ci/tools.mod staticcheck ./...
	go tool -modfile=.ci/tools.mod staticcheck -tags e2e,figures ./...
	cd mqtt/natstest && go vet ./... && go tool -modfile=../../.ci/tools.mod staticcheck ./...
	GOOS=linux GOARCH=arm GOARM=6 CGO_ENABLED=0 go vet ./...
	GOOS=darwin CGO_ENABLED=0 go vet ./...
	GOOS=windows CGO_ENABLED=0 go vet ./...

.PHONY: install
install: ## install what the tests need beside Go (Debian, Ubuntu)
	@bash .ci/install

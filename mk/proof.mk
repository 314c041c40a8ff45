# docs/proof.md, from what the long targets noted (tests/support/proof-note). Included by the Makefile.

proof: ## docs/proof.md from the recorded runs; PROOF_DIR=docs/proof before a long target records its run
	@tests/support/proof > docs/proof.md.new && mv docs/proof.md.new docs/proof.md

proof-check: ## docs/proof.md is what the recorded runs give
	@tests/support/proof | diff -u docs/proof.md - && echo "1 passed, 0 failed"

# The long targets of this page whose programs are integration tests at their short size.
CYCLES ?= 1000
torture: all $(BUILD)/tests/integration/torture_test ## the real broker killed CYCLES (1000) times; SEED=, ROUND= kills a store
	@ESCROW_BUILD=$(BUILD) CYCLES=$(CYCLES) TORTURE_RESULT=$(BUILD)/torture.result $(BUILD)/tests/integration/torture_test
	@tests/support/proof-note torture $$(cat $(BUILD)/torture.result)
	@echo "1 passed, 0 failed"

SABOTAGE_JOBS ?= 2
sabotage: ## plants each bug of tests/sabotage/ and shows that a test notices
	@tests/sabotage/run --build $(BUILD) --jobs $(SABOTAGE_JOBS) --all

sabotage-ci: ## five of them, other ones after each commit
	@tests/sabotage/run --build $(BUILD) --jobs $(SABOTAGE_JOBS) --rotate 5

.PHONY: proof proof-check torture sabotage sabotage-ci

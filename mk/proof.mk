# docs/proof.md, from what the long targets noted (tests/support/proof-note). Included by the Makefile.

proof: ## docs/proof.md from the recorded runs; PROOF_DIR=docs/proof before a long target records its run
	@tests/support/proof > docs/proof.md.new && mv docs/proof.md.new docs/proof.md

proof-check: ## docs/proof.md is what the recorded runs give
	@tests/support/proof | diff -u docs/proof.md - && echo "1 passed, 0 failed"

.PHONY: proof proof-check

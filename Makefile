# Thin: each target calls what does the work.
BUILD ?= build
REPO ?= .

.PHONY: run build test conformance bench eval tune fault soak fmt lint clean

build: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet src/cli/lightfast

$(BUILD)/build.ninja:
	@sh scripts/bootstrap build
	@meson setup $(BUILD) -Dtests=false >/dev/null

# Build, remember REPO's history, show a key and three answered questions, serve on 127.0.0.1:8080.
run:
	@BUILD=$(BUILD) REPO=$(REPO) sh scripts/run

# Every test.
test:
	@sh scripts/test

# The official conformance suite of the Model Context Protocol (needs npm); the API against its document (needs pip; not
# part of the gate: it installs a Python environment).
conformance:
	@BUILD=$(BUILD) sh scripts/conformance
	@BUILD=$(BUILD) sh scripts/schemathesis

# Measure and compare; ROW=name for one row, CORPORA="dir dir" for the git directories.
bench:
	@sh bench/run

# REPO=<git directory> REV=<commit> QUESTIONS=<jsonl> OUT=<jsonl>
eval:
	@sh bench/eval

# Crashes, full disks, foreign databases at full length; KILLS=200.
fault:
	@sh scripts/fault

# The same, and fuzzing for ten minutes a target.
soak:
	@sh scripts/soak

# Choose the weights of ranking anew and say what they are worth: REPO=<git directory> REV=<commit> QUESTIONS=<jsonl>
tune:
	@sh bench/tune

fmt:
	@find src tests bench -name '*.[ch]' | xargs clang-format -i

lint:
	@sh scripts/lint

clean:
	@rm -rf build build-*

#!/usr/bin/env bash
# The kernels' own tests under AddressSanitizer, and the portable path of those that are small enough under Miri.
#
# Usage: sanitize.sh [asan|miri]
#
# Needs the nightly toolchain, for Miri with its components:
#   rustup toolchain install nightly --component miri,rust-src
# Says so and passes where they are not there. Builds stand below $CARGO_TARGET_DIR/asan and /miri.
set -euo pipefail
cd "$(dirname "$0")/.."
targets=$(realpath -m "${CARGO_TARGET_DIR:-target}")
lanes=${1:-asan miri}

if ! cargo +nightly --version >/dev/null 2>&1; then
  echo "AddressSanitizer and Miri: no nightly toolchain, skipped"
  exit 0
fi

asan() {
  echo "AddressSanitizer: $(cargo +nightly --version)"
  RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=$targets/asan PROPTEST_CASES=${PROPTEST_CASES:-16} \
    cargo +nightly test -p percept-kernels --target x86_64-unknown-linux-gnu --lib
}

# Floats are what the processor makes of them: Miri would vary their last bits from run to run, and tests compare bits.
# Tests that Miri is too slow for, or whose instructions it does not have, say so themselves (`cfg_attr(miri, ignore)`).
miri() {
  if ! cargo +nightly miri --version >/dev/null 2>&1; then
    echo "Miri: not installed, skipped"
    return
  fi
  echo "Miri: $(cargo +nightly miri --version)"
  # The threads of rayon's pool never end, which counts as a leak; proptest looks for a file of earlier failures.
  MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-tree-borrows -Zmiri-ignore-leaks -Zmiri-permissive-provenance -Zmiri-deterministic-floats" RAYON_NUM_THREADS=2 \
    PROPTEST_CASES=2 CARGO_TARGET_DIR=$targets/miri \
    cargo +nightly miri test -p percept-kernels --lib
}

for lane in $lanes; do
  "$lane"
done

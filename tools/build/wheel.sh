# Part of build.sh: the Python wheel.

# Bytes of a wheel, at most.
readonly MOST_FOR_WHEEL=5000000
readonly WHEEL_VENV="$CARGO_TARGET_DIR/wheel/venv"

# wheel_venv [REQUIREMENTS…]: Python with what builds and tests the wheel, and more of python/tests.
wheel_venv() {
  local file
  need python3 "install Python 3.11 or later"
  [ -x "$WHEEL_VENV/bin/python" ] || python3 -m venv "$WHEEL_VENV" || { apt_install python3-venv && python3 -m venv "$WHEEL_VENV"; } ||
    fail "python3 -m venv failed: install Debian's python3-venv or the like"
  # Skipped while the file is the one installed last.
  for file in requirements "$@"; do
    cmp -s "python/tests/$file.txt" "$WHEEL_VENV/$file.installed" && continue
    "$WHEEL_VENV/bin/pip" install --quiet --disable-pip-version-check -r "python/tests/$file.txt" || return 1
    cp "python/tests/$file.txt" "$WHEEL_VENV/$file.installed"
  done
}

# wheel PROFILE: the wheel, installed alone into a new environment, where the snippet of its README runs.
wheel() {
  wheel_venv
  rm -rf target/wheels target/wheel/clean
  env -u RUSTC_WORKSPACE_WRAPPER "$WHEEL_VENV/bin/maturin" build --quiet --profile "$1" --locked --manifest-path python/Cargo.toml --interpreter "$WHEEL_VENV/bin/python" --out target/wheels
  local file=(target/wheels/*.whl) bytes
  bytes=$(wc -c <"${file[0]}")
  printf '%s %d bytes, expected less than %d when it is optimised\n' "${file[0]}" "$bytes" "$MOST_FOR_WHEEL"
  [ "$1" = dev ] || [ "$bytes" -lt "$MOST_FOR_WHEEL" ] || fail "the wheel has grown beyond its limit"
  python3 -m venv target/wheel/clean
  target/wheel/clean/bin/pip install --quiet --disable-pip-version-check "${file[0]}"
  awk '/^```python/ { on = 1; next } /^```/ { exit } on' python/README.md >target/wheel/snippet.py
  target/wheel/clean/bin/python target/wheel/snippet.py
  "$WHEEL_VENV/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps "${file[0]}"
}

# The wheel's tests; those of a cluster and of further stores where these can be installed.
wheel_tests() {
  local more=(requirements-ray)
  [ "${OCELLI_FULL:-}" != 1 ] || more+=(requirements-full)
  local file
  for file in "${more[@]}"; do
    # Tests say what they lack: SKIPPED, or a failure under REQUIRE_GPU=1.
    wheel_venv "$file" || echo "python/tests/$file.txt cannot be installed here, and what it tests is not tested"
  done
  "$WHEEL_VENV/bin/python" -m pytest --quiet -rs -p no:cacheprovider python/tests
}

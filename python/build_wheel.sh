#!/usr/bin/env bash
# build_wheel.sh CMAKE PYTHON BUILD_DIR: packs the Python package that was built in BUILD_DIR into a wheel, and prints
# the wheel's path. The target python_wheel calls it. It needs no network.
set -euo pipefail

cmake=$1 python=$2 build_dir=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
stage=$build_dir/python/wheel_stage
wheels=$build_dir/python/wheels

rm -rf "$stage" "$wheels"
mkdir -p "$stage"
"$cmake" --install "$build_dir" --component python --prefix "$stage" >"$stage/install.log"
cp "$here/setup.py" "$stage"
cp "$here/../LICENSE" "$stage"
cd "$stage"
"$python" setup.py -q bdist_wheel --dist-dir "$wheels" 2>"$stage/wheel.log" || { cat "$stage/wheel.log" >&2; exit 1; }
ls "$wheels"/*.whl

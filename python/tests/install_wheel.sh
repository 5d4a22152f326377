#!/usr/bin/env bash
# install_wheel.sh ENVIRONMENT BUILD_WHEEL CMAKE PYTHON BUILD_DIR: builds the wheel and installs it into a new virtual
# environment that sees the NumPy of PYTHON. It uses no network.
set -euo pipefail

environment=$1 python=$4
wheel=$("${@:2}")
rm -rf "$environment"
"$python" -m venv --system-site-packages "$environment"
"$environment/bin/python" -m pip install -q --no-index --no-deps --disable-pip-version-check "$wheel"
cd /
"$environment/bin/python" -c 'import faultline; print(faultline.__version__, faultline.__file__)'

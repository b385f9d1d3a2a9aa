#!/usr/bin/env bash
# Installs a Debian package with apt-get: test/postgres/apt-install.sh PACKAGE
set -euo pipefail

export DEBIAN_FRONTEND=noninteractive
# An earlier installation may have been killed halfway, and apt-get refuses to do anything before that is finished.
dpkg --configure -a
install=(apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold install --yes --no-install-recommends "$1")
# The list of packages may be missing or old.
"${install[@]}" || { apt-get -o DPkg::Lock::Timeout=300 update && "${install[@]}"; }

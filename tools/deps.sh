#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what a build needs: Debian packages through apt, and, in versions that Debian 12 does not have, CAF and
# Catch2 built from Debian's source archive into a cache folder (TROUPE_DEPS, default ~/.cache/troupe/deps-1).
# The system's package sources are not touched: a private apt state holds the source lists.
# Run through `./dev deps`; running it again when all is there costs a fraction of a second.
# `tools/deps.sh tsan` adds what preset tsan needs, in a folder beside the other one: CAF compiled with the thread
# sanitizer, which takes what it does not see of a library's synchronisation for a race.
set -euo pipefail

prefix=${TROUPE_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/troupe/deps-1}
caf_minimum=0.18.7
jobs=${JOBS:-$(nproc)}

packages=(g++ cmake ninja-build ccache pkg-config git ca-certificates curl clang-format python3 python3-venv dpkg-dev xz-utils
  libssl-dev libpcre2-dev libutf8proc-dev libyaml-cpp-dev nlohmann-json3-dev libcli11-dev libspdlog-dev libfmt-dev
  libmsgpack-cxx-dev libboost-dev libgloo-dev)

say() { printf 'deps: %s\n' "$*"; }
die() { printf 'deps: error: %s\n' "$*" >&2; exit 1; }

install_packages() {
  local missing=() package
  for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null) == ii* ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || die "these Debian packages are missing and there is no apt-get: ${missing[*]}"
  local root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || die "not root and no sudo; install these packages first: ${missing[*]}"
    root=(sudo)
  fi
  say "installing ${missing[*]}"
  local attempt
  for attempt in 1 2; do
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$prefix/apt.log" 2>&1 && return 0
    ((attempt == 1)) && "${root[@]}" apt-get update -qq >"$prefix/apt.log" 2>&1 || true
  done
  tail -n 5 "$prefix/apt.log" >&2
  die "apt-get could not install ${missing[*]} (log: $prefix/apt.log)"
}

# Fetches the source archive of Debian package $1 from suite $2 into folder $3 and prints the path of the unpacked tree.
debian_source() {
  local package=$1 suite=$2 into=$3 state=$3/apt mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)
  [[ -n $mirror ]] || die "apt has no Debian mirror configured, so the sources of $package cannot be fetched"
  mkdir -p "$state"/{lists/partial,archives/partial}
  printf 'deb-src [signed-by=%s] %s %s main\n' /usr/share/keyrings/debian-archive-keyring.gpg "$mirror" "$suite" >"$state/sources.list"
  # A mirror may be some weeks behind; what it gives is signed all the same.
  local options=(-o Acquire::Check-Valid-Until=false -o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$state/lists"
    -o "Dir::Cache=$state" -o "Dir::Cache::archives=$state/archives" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update -qq >&2
  (cd "$into" && apt-get "${options[@]}" source -qq --tar-only --download-only "$package" >&2)
  local archive
  archive=$(find "$into" -maxdepth 1 -name "${package}_*.orig.tar.*" ! -name '*.asc' | head -n 1)
  [[ -n $archive ]] || die "no source archive of $package in suite $suite"
  mkdir -p "$into/source" && tar -xf "$archive" -C "$into/source" --strip-components=1
  printf '%s\n' "$into/source"
}

# True when CMake finds package $1 of at least version $2 (with components $3) in the cache folder or the system.
cmake_finds() {
  local probe rc=0
  probe=$(mktemp -d)
  printf 'cmake_minimum_required(VERSION 3.24)\nproject(probe CXX)\nfind_package(OpenSSL REQUIRED)\nfind_package(%s %s REQUIRED %s)\n' \
    "$1" "$2" "${3:+COMPONENTS $3}" >"$probe/CMakeLists.txt"
  CXXFLAGS='' cmake -G Ninja -S "$probe" -B "$probe/build" -DCMAKE_PREFIX_PATH="$prefix" >"$probe/log" 2>&1 || rc=1
  rm -rf "$probe"
  return $rc
}

build_from_debian() { # name, Debian package, suite, CMake options...
  local name=$1 package=$2 suite=$3 work launcher=() start=$SECONDS
  shift 3
  say "building $name from Debian's sources of $package ($suite) into $prefix; once, some minutes"
  work=$prefix/build-$name
  rm -rf "$work" && mkdir -p "$work"
  local source
  source=$(debian_source "$package" "$suite" "$work")
  command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  { cmake -G Ninja -S "$source" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$prefix" -DBUILD_SHARED_LIBS=OFF \
      -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_CXX_STANDARD=20 "${launcher[@]}" "$@" &&
    ninja -C "$work/build" -j "$jobs" && ninja -C "$work/build" install; } >"$prefix/$name.log" 2>&1 ||
    { tail -n 20 "$prefix/$name.log" >&2; die "$name did not build (log: $prefix/$name.log)"; }
  rm -rf "$work"
  touch "$prefix/$name.ready"
  say "$name is ready after $((SECONDS - start)) s"
}

build_caf() {
  build_from_debian caf actor-framework experimental -DCAF_LOG_LEVEL=WARNING -DCAF_ENABLE_TESTING=OFF -DCAF_ENABLE_EXAMPLES=OFF \
    -DCAF_ENABLE_TOOLS=OFF -DCAF_ENABLE_IO_MODULE=ON -DCAF_ENABLE_OPENSSL_MODULE=ON -DCAF_ENABLE_SHARED_LIBS=OFF "$@"
}

use_prefix() {
  prefix=$1
  mkdir -p "$prefix"
  exec 9>"$prefix/lock"
  flock 9
}

use_prefix "$prefix"
install_packages
if [[ ! -e $prefix/caf.ready ]] && ! cmake_finds CAF "$caf_minimum" "core io openssl"; then
  build_caf
fi
if [[ ! -e $prefix/catch2.ready ]] && ! cmake_finds Catch2 3.0; then
  build_from_debian catch2 catch2 trixie -DBUILD_TESTING=OFF -DCATCH_INSTALL_DOCS=OFF
fi
if [[ ${1:-} == tsan ]]; then
  use_prefix "$prefix-tsan"
  [[ -e $prefix/caf.ready ]] || build_caf -DCMAKE_CXX_FLAGS='-g -fsanitize=thread'
fi

# shellcheck shell=sh
# The environment in which every script builds: sourced, never run. POSIX sh.
#
#   . scripts/env.sh
#   tapedeck_cargo build --release     cargo, with one target directory and RocksDB compiled once
#   tapedeck_needs                     installs, or names, what building RocksDB needs
#   tapedeck_keep_rocksdb              copies a RocksDB that cargo has just compiled into the cache
#
# RocksDB takes some 20 minutes to compile on two cores. Cargo would do it again for each profile, feature set or
# changed build dependency, so its static library is kept under a key of all that can change it, and linked from
# there: librocksdb-sys takes ROCKSDB_LIB_DIR and ROCKSDB_STATIC for that. Its headers, LZ4 and zstd still come from
# the crates. TAPEDECK_CACHE says where the cache is (default ~/.cache/tapedeck).

TAPEDECK_CACHE="${TAPEDECK_CACHE:-$HOME/.cache/tapedeck}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$TAPEDECK_CACHE/target}"

# The root of the project: told in TAPEDECK_ROOT, or git's answer, or here.
tapedeck_root() {
    if [ -n "${TAPEDECK_ROOT:-}" ]; then
        printf '%s\n' "$TAPEDECK_ROOT"
    else
        git rev-parse --show-toplevel 2>/dev/null || pwd
    fi
}

# The version of package $1 in Cargo.lock, or "none".
tapedeck_locked() {
    awk -v name="name = \"$1\"" '
        $0 == name { getline; gsub(/version = |"/, ""); print; found = 1; exit }
        END { if (!found) print "none" }' "$(tapedeck_root)/Cargo.lock"
}

# What .cargo/config.toml says, without comments.
tapedeck_config() {
    sed '/^#/d' "$(tapedeck_root)/.cargo/config.toml" 2>/dev/null || true
}

# The processor that is compiled for, as .cargo/config.toml or RUSTFLAGS says.
tapedeck_target_cpu() {
    tapedeck_flags="${CARGO_ENCODED_RUSTFLAGS:-${RUSTFLAGS:-$(tapedeck_config)}}"
    tapedeck_cpu=$(printf '%s\n' "$tapedeck_flags" | sed -n 's/.*target-cpu=\([A-Za-z0-9_.-]*\).*/\1/p' | head -n 1)
    # "native" is another processor on another machine.
    if [ "$tapedeck_cpu" = native ]; then
        tapedeck_cpu="native-$(grep -m 1 '^flags' /proc/cpuinfo 2>/dev/null | cksum | cut -d ' ' -f 1)"
    fi
    printf '%s\n' "${tapedeck_cpu:-generic}"
}

# All that the compiled RocksDB depends on, one a line.
tapedeck_rocksdb_inputs() {
    printf 'librocksdb-sys %s\n' "$(tapedeck_locked librocksdb-sys)"
    printf 'lz4-sys %s\n' "$(tapedeck_locked lz4-sys)"
    printf 'zstd-sys %s\n' "$(tapedeck_locked zstd-sys)"
    printf 'features %s\n' "$(sed -n 's/^rocksdb = {.*features = \[\([^]]*\)\].*/\1/p' "$(tapedeck_root)/Cargo.toml")"
    printf 'machine %s\n' "$(uname -sm)"
    printf 'target-cpu %s\n' "$(tapedeck_target_cpu)"
    printf 'compiler %s\n' "$("${CXX:-c++}" -dumpfullversion -dumpversion 2>/dev/null || echo none)"
    printf 'flags %s\n' "${CXXFLAGS:-} ${ROCKSDB_CXX_STD:-}"
}

# The folder in the cache for this key.
tapedeck_rocksdb_dir() {
    tapedeck_key=$(tapedeck_rocksdb_inputs | cksum | cut -d ' ' -f 1)
    printf '%s/rocksdb-%s-%s-%s\n' "$TAPEDECK_CACHE" "$(tapedeck_locked librocksdb-sys)" "$(tapedeck_target_cpu)" \
        "$tapedeck_key"
}

# Links the kept library if there is one for this key; otherwise cargo compiles it.
tapedeck_use_rocksdb() {
    tapedeck_dir=$(tapedeck_rocksdb_dir)
    if [ -f "$tapedeck_dir/librocksdb.a" ]; then
        export ROCKSDB_LIB_DIR="$tapedeck_dir" ROCKSDB_STATIC=1
    else
        unset ROCKSDB_LIB_DIR ROCKSDB_STATIC
    fi
}

# The newest RocksDB that cargo compiled with optimisation for this processor, if any; newer than the file $1 if given.
tapedeck_compiled_rocksdb() {
    tapedeck_cpu=$(tapedeck_target_cpu)
    # shellcheck disable=SC2012  # cargo's names hold no odd characters, and ls sorts by time
    { ls -t "$CARGO_TARGET_DIR"/release/build/librocksdb-sys-*/out/librocksdb.a 2>/dev/null || true; } |
        while read -r tapedeck_lib; do
            [ -z "${1:-}" ] || [ -n "$(find "$tapedeck_lib" -newer "$1")" ] || continue
            tapedeck_unit=$(basename "$(dirname "$(dirname "$tapedeck_lib")")")
            # Cargo's fingerprint names the flags that the build script ran with.
            if [ "$tapedeck_cpu" = generic ] || grep -qs -- "target-cpu=${tapedeck_cpu%%-[0-9]*}" \
                "$CARGO_TARGET_DIR/release/.fingerprint/$tapedeck_unit"/run-build-script-*.json; then
                printf '%s\n' "$tapedeck_lib"
                break
            fi
        done
}

# Copies a RocksDB that cargo has compiled into the cache, under the key of now: one that is newer than the file $1,
# or, without it, the newest. Without it only right after a build, when the newest was compiled from what the key says.
tapedeck_keep_rocksdb() {
    tapedeck_dir=$(tapedeck_rocksdb_dir)
    [ -f "$tapedeck_dir/librocksdb.a" ] && return 0
    tapedeck_lib=$(tapedeck_compiled_rocksdb "${1:-}")
    [ -n "$tapedeck_lib" ] || return 0
    # Under another name until it is whole, so that no build links half of it.
    tapedeck_new="$tapedeck_dir.new.$$"
    mkdir -p "$tapedeck_new" &&
        cp "$tapedeck_lib" "$tapedeck_new/librocksdb.a" &&
        tapedeck_rocksdb_inputs >"$tapedeck_new/inputs.txt" &&
        mv "$tapedeck_new" "$tapedeck_dir" &&
        echo "tapedeck: RocksDB kept in $tapedeck_dir" >&2
}

# Installs what building RocksDB needs where that is possible, or says what to install.
tapedeck_needs() {
    tapedeck_missing=''
    command -v "${CXX:-c++}" >/dev/null 2>&1 || tapedeck_missing="$tapedeck_missing g++"
    tapedeck_has_libclang || tapedeck_missing="$tapedeck_missing libclang-dev"
    [ -n "$tapedeck_missing" ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "tapedeck: installing$tapedeck_missing" >&2
        # shellcheck disable=SC2086  # a list of words
        { apt-get update -q && apt-get install -q -y --no-install-recommends $tapedeck_missing; } >&2
    else
        echo "tapedeck: building RocksDB needs$tapedeck_missing: install them (Debian's names)," \
            "or build with --no-default-features" >&2
        return 1
    fi
}

# True if bindgen will find libclang.
tapedeck_has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    for tapedeck_file in /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* /usr/lib/libclang*.so* \
        /usr/lib64/libclang*.so* /usr/lib64/llvm*/lib/libclang*.so* /usr/local/lib/libclang*.so* \
        /opt/homebrew/opt/llvm/lib/libclang.dylib /Library/Developer/CommandLineTools/usr/lib/libclang.dylib; do
        [ -e "$tapedeck_file" ] && return 0
    done
    return 1
}

# Runs cargo with this environment, and keeps the RocksDB that a first build compiled.
tapedeck_cargo() {
    tapedeck_needs || return 1
    tapedeck_use_rocksdb
    if [ -n "${ROCKSDB_LIB_DIR:-}" ]; then
        cargo "$@"
        return
    fi
    # What is older than this build may have been compiled from something else.
    mkdir -p "$TAPEDECK_CACHE"
    tapedeck_begun="$TAPEDECK_CACHE/begun.$$"
    : >"$tapedeck_begun"
    tapedeck_status=0
    cargo "$@" || tapedeck_status=$?
    [ "$tapedeck_status" != 0 ] || tapedeck_keep_rocksdb "$tapedeck_begun"
    rm -f "$tapedeck_begun"
    return "$tapedeck_status"
}

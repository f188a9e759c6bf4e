#!/bin/sh
# relocate.sh PROGRAM PREFIX: PROGRAM with its loader and every library it loads, under PREFIX.
#
# PREFIX becomes part of the program (its ELF interpreter and its library path), so the tree runs at PREFIX
# and nowhere else: in any container, whatever C library that has, or none.
set -eu
program=$1
prefix=$2

mkdir -p "$prefix/bin" "$prefix/lib" "$prefix/etc"
target=$prefix/bin/$(basename "$program")
cp -L "$program" "$target"

# The name differs by architecture: ld-linux-x86-64.so.2, ld-linux-aarch64.so.1.
loader=$(patchelf --print-interpreter "$program")
cp -L "$loader" "$prefix/lib/"
ldd "$program" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | while read -r library; do
  cp -L "$library" "$prefix/lib/"
done
chmod 0755 "$prefix"/lib/* "$target"

# The packages that these came from: nothing else in the tree tells their versions to who looks for known weaknesses.
# shellcheck disable=SC2016  # dpkg-query's own fields
{ echo "$program $loader"; ldd "$program" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }'; } | xargs realpath | xargs dpkg -S \
  | sed '/^diversion/d; s/: .*//' | { cat; echo ca-certificates; } | sort -u \
  | xargs dpkg-query --show --showformat '${Package} ${Version} ${Architecture}\n' > "$prefix/etc/packages.txt"

# DT_RPATH, not DT_RUNPATH: it also holds for the libraries' own dependencies, and LD_LIBRARY_PATH of the
# container that this runs in does not come before it. A library with a path of its own would leave it.
for library in "$prefix"/lib/*; do
  case $library in */ld-linux-*) continue ;; esac
  if [ -n "$(patchelf --print-rpath "$library")" ]; then
    patchelf --force-rpath --set-rpath "$prefix/lib" "$library"
  fi
done
patchelf --set-interpreter "$prefix/lib/$(basename "$loader")" --force-rpath --set-rpath "$prefix/lib" "$target"

# pgBackRest's own default is OpenSSL's folder, which other images may not have.
cp -L /etc/ssl/certs/ca-certificates.crt "$prefix/etc/ca-certificates.crt"
chmod 0644 "$prefix/etc/ca-certificates.crt"

# Proof: everything resolves below PREFIX, and the program starts with an empty environment.
strays=$("$prefix/lib/$(basename "$loader")" --list "$target" \
  | awk -v lib="$prefix/lib/" '/linux-vdso/ { next } index($0, lib) == 0 { print }')
if [ -n "$strays" ]; then
  echo "these do not come from $prefix/lib:" "$strays" >&2
  exit 1
fi
env -i "$target" version

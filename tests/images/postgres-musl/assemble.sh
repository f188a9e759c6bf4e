#!/bin/sh
# assemble.sh JAR ROOT: a root file system of busybox, musl and the PostgreSQL of JAR, and nothing else.
set -eu
jar=$1
root=$2

mkdir -p "$root/bin" "$root/lib" "$root/etc" "$root/root" "$root/proc" "$root/sys" "$root/dev" \
  "$root/usr/local" "$root/usr/share" "$root/var/run/postgresql" "$root/var/lib/postgresql/data" \
  "$root/docker-entrypoint-initdb.d" "$root/tmp" "$root/run"

busybox=$(command -v busybox)
cp "$busybox" "$root/bin/busybox"
"$busybox" --list | while read -r applet; do
  [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done

for loader in /lib/ld-musl-*.so.1; do
  cp -L "$loader" "$root/lib/"
done

"$busybox" unzip -p "$jar" '*.txz' | tar -xJ -C "$root/usr/local"
rm -f "$root"/usr/local/lib/*.a
# The official Alpine image's settings where this build's defaults differ. They are appended, because
# initdb puts its own default back into the first line of a name.
cat >> "$root/usr/local/share/postgresql/postgresql.conf.sample" <<'SETTINGS'
listen_addresses = '*'
unix_socket_directories = '/var/run/postgresql'
SETTINGS

printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'postgres:x:70:70:postgres:/var/lib/postgresql:/bin/sh' > "$root/etc/passwd"
printf '%s\n' 'root:x:0:' 'postgres:x:70:' > "$root/etc/group"

chown -R 70:70 "$root/var/lib/postgresql" "$root/var/run/postgresql"
chmod 3777 "$root/var/run/postgresql"
chmod 1777 "$root/var/lib/postgresql" "$root/var/lib/postgresql/data" "$root/tmp"

# Nothing of glibc may have slipped in: that is what the image is for.
if find "$root" -name 'ld-linux*' -o -name 'libc.so.6' | grep .; then
  echo "glibc found" >&2
  exit 1
fi
chroot "$root" /usr/local/bin/postgres --version

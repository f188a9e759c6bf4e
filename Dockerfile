# One image for the webhook, the controller, the agent, the repository host, every Job and the tool copy.
#
#   docker build -t pgwarden .                      (any builder)
#   python3 -m localcluster.images build pgwarden   (where no base image can be pulled)
#   make release BASE=debian:trixie-slim@sha256:…   (docs/supply-chain.md)
#
# Two builds from the same packages are the same image where the builder gives all files one time (buildah
# --timestamp; buildx rewrite-timestamp). So bytecode is checked by no time, and logs and caches stay out of it.
#
# Layers go from what changes least to what changes most: packages, pgBackRest, locked dependencies, and
# the project's own code last, so that an edit rebuilds in seconds.
#
# Two images: `pgwarden` (the last stage, and so the default) and `postgres`, which PostgresClusters run:
#   docker build --target postgres -t pgwarden-patroni:17 .
#
# BASE: Debian stable, which has a security team; a release names it by digest.
# SNAPSHOT: a time of snapshot.debian.org (20261130T000000Z), for the packages of that time; empty: today's.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS base
ARG SNAPSHOT=
RUN [ -z "$SNAPSHOT" ] || { \
      set -eu; \
      archive=http://snapshot.debian.org/archive; \
      rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*; \
      for suite in debian:trixie debian:trixie-updates debian-security:trixie-security; do \
        echo "deb $archive/${suite%:*}/$SNAPSHOT ${suite#*:} main"; \
      done > /etc/apt/sources.list; \
      echo 'Acquire::Check-Valid-Until "false";' > /etc/apt/apt.conf.d/99snapshot; \
    }

# ---- tools: a pgBackRest that carries its own loader and libraries ------------------------------------------
# It is copied to the same path in containers of any image (musl, distroless, any uid) and must run there
# as it is: no wrapper and no environment, because pgBackRest starts itself again (asynchronous archiving,
# local processes) by the name it was started with.
# Stable's pgBackRest is too old: the next release's comes with the libxml2 that it needs. The loader, the C library,
# OpenSSL and whatever else it loads are stable's, as long as those do: images/packages.txt records it.
FROM base AS tools
RUN apt-get update \
 && archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1) \
 && echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive forky main" > /etc/apt/sources.list.d/forky.list \
 && printf 'Package: *\nPin: release n=forky\nPin-Priority: 100\n' > /etc/apt/preferences.d/forky \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates gcc libc6-dev patchelf pgbackrest/forky python3-pip-whl \
 && rm -rf /var/lib/apt/lists/*
COPY images/relocate.sh /tmp/relocate.sh
RUN sh /tmp/relocate.sh /usr/bin/pgbackrest /pgwarden/tools
COPY images/archive.h images/archive.c images/adopter.c images/keeper.c /tmp/archive/
RUN cc -O2 -s -static -Wall -Wextra -Werror -o /pgwarden/tools/bin/pgbackrest-archive /tmp/archive/*.c
COPY --chmod=0755 images/recover.sh images/needs.sh /pgwarden/tools/bin/

# ---- runtime: Python, the tools and the locked dependencies --------------------------------------------------
FROM base AS runtime
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates libpq5 python3 tzdata \
 && python3 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3* \
 && rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache \
 && echo 'pgwarden:x:65532:65532:pgwarden:/tmp:/usr/sbin/nologin' >> /etc/passwd \
 && echo 'pgwarden:x:65532:' >> /etc/group \
 && ln -s /pgwarden/tools/bin/pgbackrest /usr/bin/pgbackrest
COPY --from=tools /pgwarden/tools /pgwarden/tools
# A pip configuration that the build mounts (index, proxy, certificates); it stays out of the image.
ARG PIP_CONFIG_FILE=/dev/null
COPY requirements.lock /opt/pgwarden/requirements.lock
# pip is only mounted: the environment that is shipped has no installer in it.
RUN --mount=type=bind,from=tools,source=/usr/share/python-wheels,target=/tmp/wheels \
    python3 -m venv --without-pip /opt/pgwarden \
 && cd /opt/pgwarden \
 && bin/python3 "$(echo /tmp/wheels/pip-*.whl)/pip" install \
      --no-cache-dir --no-compile --only-binary :all: -r requirements.lock \
 && bin/python3 -c 'import pathlib, sysconfig; \
      pathlib.Path(sysconfig.get_path("purelib"), "pgwarden.pth").write_text("/opt/pgwarden/app\n")' \
 && bin/python3 -m compileall -q --invalidation-mode unchecked-hash lib

# HOME is where a read-only root file system leaves room, if a volume is mounted there; nothing needs it.
ENV PATH=/opt/pgwarden/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONSAFEPATH=1 \
    LANG=C.UTF-8 \
    HOME=/tmp

# ---- code: the project's own, its packages and crds/ beside one another as in the repository -----------------------------
FROM runtime AS code
COPY crds /opt/pgwarden/app/crds
COPY pgwarden /opt/pgwarden/app/pgwarden
COPY webhook /opt/pgwarden/app/webhook
COPY controller /opt/pgwarden/app/controller
COPY agent /opt/pgwarden/app/agent
# The CRDs as JSON too: so no process has to load a YAML reader for them, which the last line makes sure of.
RUN cd /opt/pgwarden/app \
 && python3 -c 'import json, pathlib, yaml; \
      [path.with_suffix(".json").write_text(json.dumps(yaml.safe_load(path.read_text()))) \
       for path in pathlib.Path("crds").glob("*.yaml")]' \
 && python3 -m compileall -q --invalidation-mode unchecked-hash . \
 && python3 -c 'import sys; from pgwarden.api import schema; schema.types(); assert "yaml" not in sys.modules'

# ---- postgres: PostgreSQL and Patroni, for the clusters that pgwarden runs itself ------------------------------
# uid 999 as in the official image. No pgBackRest: the webhook brings it, as it does for any PostgreSQL.
# All of Debian's locales (214 MB, 53 MB compressed): a clone needs those of its source, en_US.utf8 as a rule.
FROM base AS postgres
ARG PG_MAJOR=17
# The user comes before the packages, which would otherwise choose a uid of their own.
# Accounts are dated, and ssl-cert makes a key that all who run the image would share.
RUN export SOURCE_DATE_EPOCH=1577836800 \
 && groupadd --system --gid 999 postgres \
 && useradd --system --uid 999 --gid 999 --home-dir /var/lib/postgresql --shell /bin/sh postgres \
 && mkdir -p /etc/postgresql-common \
 && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      locales-all patroni postgresql-${PG_MAJOR} tzdata \
 && rm -f /etc/ssl/private/ssl-cert-snakeoil.key /etc/ssl/certs/ssl-cert-snakeoil.pem \
 && find /etc/ssl/certs -lname '*ssl-cert-snakeoil.pem' -delete \
 && python3 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3* \
 && rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/cache/debconf/config.dat /var/cache/ldconfig/aux-cache \
 && find /var/log -type f -delete \
 && install -d -o postgres -g postgres -m 3777 /var/run/postgresql \
 && python3 -c 'import patroni.dcs.kubernetes'
ENV PG_MAJOR=${PG_MAJOR} \
    LANG=C.UTF-8 \
    PATH=/usr/lib/postgresql/${PG_MAJOR}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
USER 999:999
ENTRYPOINT ["patroni"]

# ---- pgwarden: the image -------------------------------------------------------------------------------------
FROM runtime AS pgwarden
# One of webhook, controller, agent, pgwarden (the command line); whatever we render names its command itself.
ENTRYPOINT ["python3", "-m"]
CMD ["pgwarden"]
USER 65532:65532

ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pgwarden" \
      org.opencontainers.image.description="Disaster recovery for PostgreSQL on Kubernetes" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=code /opt/pgwarden/app /opt/pgwarden/app

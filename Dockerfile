# One image for the webhook, the controller, the agent, the repository host, every Job and the tool copy.
#
#   docker build -t pgwarden .                      (any builder; nothing but the three arguments below)
#   python3 -m localcluster.images build pgwarden   (where no base image can be pulled)
#
# Layers go from what changes least to what changes most: packages, pgBackRest, locked dependencies, and
# the project's own code last, so that an edit rebuilds in seconds.
#
# Two images: `pgwarden` (the last stage, and so the default) and `postgres`, which PostgresClusters run:
#   docker build --target postgres -t pgwarden-patroni:17 .
ARG BASE=debian:forky-slim
ARG POSTGRES_BASE=debian:trixie-slim

# ---- tools: a pgBackRest that carries its own loader and libraries ------------------------------------------
# It is copied to the same path in containers of any image (musl, distroless, any uid) and must run there
# as it is: no wrapper and no environment, because pgBackRest starts itself again (asynchronous archiving,
# local processes) by the name it was started with.
FROM ${BASE} AS tools
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates gcc libc6-dev patchelf pgbackrest python3-pip-whl \
 && rm -rf /var/lib/apt/lists/*
COPY images/relocate.sh /tmp/relocate.sh
RUN sh /tmp/relocate.sh /usr/bin/pgbackrest /pgwarden/tools
COPY images/archive.c /tmp/archive.c
RUN cc -O2 -s -static -Wall -Wextra -Werror -o /pgwarden/tools/bin/pgbackrest-archive /tmp/archive.c
COPY --chmod=0755 images/recover.sh images/needs.sh /pgwarden/tools/bin/

# ---- runtime: Python, the tools and the locked dependencies --------------------------------------------------
FROM ${BASE} AS runtime
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates libpq5 python3 tzdata \
 && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old \
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
FROM ${POSTGRES_BASE} AS postgres
ARG PG_MAJOR=17
# The user comes before the packages, which would otherwise choose a uid of their own.
RUN groupadd --system --gid 999 postgres \
 && useradd --system --uid 999 --gid 999 --home-dir /var/lib/postgresql --shell /bin/sh postgres \
 && mkdir -p /etc/postgresql-common \
 && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      locales-all patroni postgresql-${PG_MAJOR} tzdata \
 && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log \
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

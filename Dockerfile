# The image of Tidemark: docs/containers.md. Its layers, in the order in which they change: the system, the locked
# packages, the jars, the code. A change of code alone builds in seconds and ships as a small layer.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS system
# hadolint ignore=DL3008 # the release of the base image decides the versions of its packages
RUN apt-get update \
    && apt-get install -y --no-install-recommends openjdk-17-jre-headless python3 python3-venv tini \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 185 tidemark \
    && useradd --system --uid 185 --gid 185 --home-dir /var/lib/tidemark --no-create-home tidemark \
    && install -d -o 185 -g 185 /var/lib/tidemark /var/lib/tidemark/checkpoint \
        /var/lib/tidemark/models-registry /var/lib/tidemark/kafka
ENV PATH=/opt/tidemark/bin:$PATH


# pip and what builds packages from source are in /tools and part of no layer that ships. pyspark becomes a wheel of
# 450 MB that is unpacked at once: not compressing it saves half a minute. Bytecode is compiled here, on all cores,
# since the image runs read-only; the packages' own tests are left out.
FROM system AS dependencies
COPY requirements-build.lock requirements.lock /opt/tidemark/
RUN python3 -m venv /tools \
    && /tools/bin/pip install --no-cache-dir --no-compile --require-hashes -r /opt/tidemark/requirements-build.lock \
    && printf '[bdist_wheel]\ncompression = stored\n' >/tools/setup.cfg \
    && python3 -m venv --without-pip /opt/tidemark \
    && PYTHONPATH=$(echo /tools/lib/python3*/site-packages) DIST_EXTRA_CONFIG=/tools/setup.cfg \
        python -m pip install --no-cache-dir --no-compile --ignore-installed --no-build-isolation --require-hashes \
        -r /opt/tidemark/requirements.lock \
    && rm -rf /tools \
    && find /opt/tidemark/lib -type d -name tests -prune -exec rm -r {} + \
    && python -m compileall -q -j 0 /opt/tidemark/lib


FROM dependencies AS jars
# Options of the JVM that downloads the jars, such as the trust store of a company's network.
ARG JAVA_TOOL_OPTIONS
WORKDIR /source
# Of the code only what fetches the jars, so that a change elsewhere does not fetch them again.
COPY detector/__init__.py detector/errors.py detector/
COPY detector/kafka/__init__.py detector/kafka/__main__.py detector/kafka/ivy.py detector/kafka/jars.py \
    detector/kafka/jars.lock.json detector/kafka/java.py detector/kafka/
RUN TIDEMARK_CACHE=/opt/tidemark/cache python -m detector.kafka setup


FROM system AS application
WORKDIR /source
COPY requirements-build.lock ./
RUN python3 -m venv /tools \
    && /tools/bin/pip install --no-cache-dir --no-compile --require-hashes -r requirements-build.lock \
    && python3 -m venv --without-pip /opt/tidemark
COPY pyproject.toml README.md LICENSE ./
COPY models models
COPY detector detector
RUN PYTHONPATH=$(echo /tools/lib/python3*/site-packages) python -m pip install --no-cache-dir --no-deps \
    --no-build-isolation --prefix /application .


FROM dependencies
COPY --from=jars /opt/tidemark/cache /opt/tidemark/cache
COPY --from=application /application /opt/tidemark
# Settings that a container needs other than by default. They win over a settings file; `run --env` wins over them.
ENV LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TIDEMARK_CACHE=/opt/tidemark/cache \
    TIDEMARK__HTTP__HOST=0.0.0.0 \
    TIDEMARK__LOG__FORMAT=json
USER 185:185
# The paths of the settings are relative to it: checkpoint, models-registry.
WORKDIR /var/lib/tidemark
VOLUME ["/var/lib/tidemark/checkpoint", "/var/lib/tidemark/models-registry"]
EXPOSE 9108
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-IS", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ.get(\"TIDEMARK__HTTP__PORT\", \"9108\")}/livez', timeout=4)"]
ENTRYPOINT ["tini", "--", "tidemark"]
CMD ["run"]
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Tidemark" \
      org.opencontainers.image.description="Real-time anomaly detection for sensor streams: Kafka in, alerts on Kafka exactly once" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"

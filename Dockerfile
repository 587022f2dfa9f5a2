# Airflow with Millrace: API server, scheduler, DAG processor, triggerer and Celery worker are one image
# with different commands, and MLflow's server too, so that it has its clients' version.
# `make images ONLY=airflow` builds it; docker-compose.yaml runs it.
#
# A tag can be moved, a digest cannot. Where a registry is in reach, this command says what to append:
#   docker buildx imagetools inspect docker.io/library/python:3.12.12-slim-bookworm
ARG BASE=docker.io/library/python:3.12.12-slim-bookworm

FROM ${BASE} AS build
ARG PIP_INDEX_URL
ARG UV_DEFAULT_INDEX
# The system's certificates, so that a company's own reach the package managers.
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    UV_LINK_MODE=copy
RUN python -m pip install --quiet --no-cache-dir --disable-pip-version-check uv==0.13.9
COPY requirements-containers.txt /requirements.txt
RUN --mount=type=cache,target=/root/.cache/uv \
    uv venv --quiet --python /usr/local/bin/python /opt/venv \
    && uv pip sync --quiet --python /opt/venv/bin/python --require-hashes /requirements.txt \
    # the libraries' own tests
    && find /opt/venv -type d -name tests -prune -exec rm -rf {} + \
    && uv tool run --quiet --from cyclonedx-bom==7.5.0 cyclonedx-py environment --output-reproducible \
        --output-file /opt/venv/sbom.cdx.json /opt/venv/bin/python \
    && /opt/venv/bin/python -m compileall -q -j 0 /opt/venv
COPY dags /app/dags
COPY plugins /app/plugins
COPY include /app/include
RUN python -m compileall -q /app

FROM ${BASE}
# LightGBM's wheel expects the system's OpenMP. Its version is that of the base's Debian release.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
# What is written: task logs, and the home of what does not belong into the lake. Both are volumes, and
# a volume takes its first owner from here. The configuration is all in variables.
RUN install --directory --owner 10001 --group 10001 /opt/airflow /opt/airflow/logs /opt/airflow/home \
    && touch /opt/airflow/airflow.cfg
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app/plugins \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW_CONFIG=/opt/airflow/airflow.cfg \
    AIRFLOW__CORE__DAGS_FOLDER=/app/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/app/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=false \
    MILLRACE_HOME=/opt/airflow/home
WORKDIR /opt/airflow
USER 10001:10001
VOLUME /tmp
EXPOSE 8080
CMD ["airflow", "version"]

ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
ARG LICENSES=NOASSERTION
# The commit that manifests name: the image holds no git.
ENV MILLRACE_REVISION=${REVISION}
LABEL org.opencontainers.image.title="Millrace on Airflow" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="${LICENSES}" \
      org.millrace.sbom="/opt/venv/sbom.cdx.json"

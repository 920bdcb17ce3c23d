# One image for web, worker and beat; docker-compose.yml says which one a container is.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# requirements-s3.txt where files are kept in a bucket.
ARG REQUIREMENTS=requirements.txt
RUN python -m venv /venv
COPY ${REQUIREMENTS} /tmp/requirements.txt
RUN /venv/bin/pip install --no-input --require-hashes --requirement /tmp/requirements.txt

FROM python:3.13-slim
# Zones come from the tzdata package, so that all nodes of an installation agree on them.
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONTZPATH="" \
    DJANGO_SETTINGS_MODULE=deployx.settings \
    DEPLOYX_SIGNING_KEY_FILE=/keys/signing.key
# A new volume takes owner and mode of the folder it is mounted over.
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent deployx \
    && install --directory --owner 10001 --group 10001 --mode 0700 /keys \
    && install --directory --owner 10001 --group 10001 --mode 0711 /files
COPY --from=build /venv /venv
WORKDIR /srv/deployx
COPY . .
# Whoever checked it out may have kept it from others. Containers may not write: what they start with
# is compiled here. The settings want addresses and a secret; these end with this line.
RUN chmod -R a+rX . && python -m compileall -q accounts deployx devices scheduling \
    && DATABASE_URL=postgresql://build@build.invalid/build \
    REDIS_URL=redis://build.invalid/0 \
    DEPLOYX_SECRET_KEY="$(python -c 'import secrets; print(secrets.token_hex(32))')" \
    sh -c "python manage.py compilemessages && python manage.py collectstatic --no-input --verbosity 0"
USER 10001:10001
EXPOSE 8000
CMD ["python", "manage.py", "help"]

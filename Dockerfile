# livecert in a container: docs/containers.md shows how it is used.
FROM rust:1.89-slim-bookworm AS build
# The version of a compiler does not matter here, and old ones go from Debian's mirrors.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# A container has no desktop session, and so no keyring.
RUN cargo build --locked --release --package livecert-cli --no-default-features

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 livecert \
    && useradd --system --uid 10001 --gid livecert --home-dir /var/lib/livecert --shell /usr/sbin/nologin livecert \
    && install -d -m 0711 -o livecert -g livecert /var/lib/livecert
COPY --from=build /source/target/release/livecert /usr/local/bin/livecert
ENV LIVECERT_HOME=/var/lib/livecert
VOLUME ["/var/lib/livecert"]
USER 10001:10001
HEALTHCHECK --interval=15m --timeout=30s --start-period=5m \
    CMD ["livecert", "status", "--max-age", "26h", "--grace", "26h"]
ENTRYPOINT ["livecert"]
CMD ["help"]

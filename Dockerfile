# Both stages are of one Debian release: librdkafka is linked with glibc, and a program runs on no older one than it was made with.
FROM golang:1.26-bookworm AS build
WORKDIR /src
ENV GOCACHE=/var/cache/go-build
# The modules first: they are fetched again only when this list changes.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN --mount=type=cache,target=/var/cache/go-build \
    CGO_ENABLED=1 go build -trimpath -o /out/kafkasync ./cmd/kafkasync

FROM debian:bookworm-slim
# ca-certificates has no version here: the newest authorities are the right ones, and an old version leaves Debian's archive.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 kafkasync \
    && useradd --system --uid 10001 --gid kafkasync --no-create-home --home-dir /var/lib/kafkasync --shell /usr/sbin/nologin kafkasync \
    && install -d -o kafkasync -g kafkasync -m 0700 /var/lib/kafkasync
COPY --from=build /out/kafkasync /usr/local/bin/kafkasync
# By number, so that Kubernetes sees that it is not root.
USER 10001:10001
# Where kafkasync.yaml is mounted: every command finds it without -c, also `docker exec ... kafkasync status`.
WORKDIR /etc/kafkasync
# data_dir of the file.
VOLUME ["/var/lib/kafkasync"]
# Raft, and the status page.
EXPOSE 7400 7480
# That the node answers. Whether it has caught up is said by /readyz.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s CMD ["kafkasync", "status", "--address", "127.0.0.1:7480"]
# Not through a shell, which would keep SIGTERM to itself.
ENTRYPOINT ["kafkasync"]
CMD ["run"]

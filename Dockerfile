# The image that `provisioner push` builds, for people who prefer Docker: same files, same configuration.
#
#   docker build -t web-app .
#   docker buildx build --platform linux/amd64,linux/arm64 -t web-app .
#
# From an executable that exists, DIR/app, nothing is compiled and nothing is pulled:
#
#   docker buildx build --build-context build=DIR -t web-app .
#   buildah bud --isolation chroot --build-context build=DIR -t web-app .

# Of rust-toolchain.toml; the compiler runs on the machine's own platform and builds for the image's.
FROM --platform=$BUILDPLATFORM docker.io/library/rust:1.95.0-slim AS build
ARG TARGETARCH=amd64
ENV RUSTUP_TOOLCHAIN=1.95.0
ENV CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld
WORKDIR /source
COPY . .
RUN case "$TARGETARCH" in amd64) arch=x86_64 ;; arm64) arch=aarch64 ;; *) echo "no target for $TARGETARCH" >&2; exit 1 ;; esac \
 && target="$arch-unknown-linux-musl" \
 && rustup target add "$target" \
 && cargo build --locked --profile image --target "$target" -p app \
 && cp "target/$target/image/app" /app

FROM scratch
COPY --chmod=0644 app/etc/group app/etc/passwd /etc/
COPY --from=build --chmod=0755 /app /app
ENV PATH=/
LABEL org.opencontainers.image.title="web-app" \
      org.opencontainers.image.version="0.1.0"
EXPOSE 8080/tcp
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/app"]
CMD ["serve"]

# The server's image. `make image` builds the same without a container engine,
# reading the last stage below for what to put in; build/image tests both.

FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src
# The modules' layer outlives changes to the sources.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
# Go compiles for the target on the building machine: nothing is emulated.
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /fairlead ./cmd/fairlead

FROM scratch
ARG VERSION=dev
LABEL org.opencontainers.image.title="Fairlead" \
      org.opencontainers.image.description="WebSockets on AWS: holds many connections cheaply and survives deploys" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
# Roots for TLS to Valkey and to AWS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /fairlead /fairlead
# Numeric, so that a platform can tell non-root without a passwd file.
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
# For plain Docker; ECS reads the health check of its task definition instead.
HEALTHCHECK --interval=10s --timeout=3s --start-period=2s --retries=3 CMD ["/fairlead", "healthcheck"]
ENTRYPOINT ["/fairlead"]
CMD ["serve"]

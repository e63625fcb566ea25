# Two images from one build. The default is small and has no shell; `--target with-fence-agents` adds the fence agents,
# which are Python programs of Debian's. Where only the host's network reaches the registries: docker build --network=host.
# Node.js is told to keep its heap small: left to itself it lets a large cluster's grow to three times what is alive.
# No BuildKit features, so that every builder can do it; docker-bake.hcl says how releases are made.

FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
# Not `npm ci`: lab/bootstrap.mjs says why. The versions are those of the lock file all the same.
RUN npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error
COPY tsconfig.json ./
COPY src ./src
COPY lab/images/bill-of-materials.ts lab/images/
# The software bill of materials without its time and serial number: same input, same bytes.
RUN npm run --silent build \
 && mkdir /out \
 && cp dist/holdfast.mjs /out/ \
 && npm sbom --package-lock-only --sbom-format=cyclonedx | node lab/images/bill-of-materials.ts > /out/sbom.cdx.json \
 && chmod 0444 /out/* \
 && touch --date=@0 /out/* /out

FROM debian:bookworm-slim AS with-fence-agents
# ipmitool for fence_ipmilan, snmp for the PDUs.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends fence-agents ipmitool snmp \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*
COPY --from=build /usr/local/bin/node /nodejs/bin/node
COPY --from=build /out /app
USER 65532:65532
WORKDIR /app
ENV NODE_ENV=production
ENTRYPOINT ["/nodejs/bin/node", "--max-semi-space-size=2", "--heap-growing-percent=50", "/app/holdfast.mjs"]
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Holdfast with fence agents" \
      org.opencontainers.image.description="High availability for KubeVirt virtual machines" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim"

FROM gcr.io/distroless/nodejs24-debian12:nonroot AS holdfast
COPY --from=build /out /app
USER 65532:65532
WORKDIR /app
ENV NODE_ENV=production
ENTRYPOINT ["/nodejs/bin/node", "--max-semi-space-size=2", "--heap-growing-percent=50", "/app/holdfast.mjs"]
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Holdfast" \
      org.opencontainers.image.description="High availability for KubeVirt virtual machines" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="gcr.io/distroless/nodejs24-debian12:nonroot"

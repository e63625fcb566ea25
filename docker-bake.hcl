# How releases are made: docker buildx bake (needs BuildKit and an emulator or a builder for each platform).
#   REGISTRY=registry.example.com/holdfast VERSION=0.1.0 REVISION=$(git rev-parse HEAD) \
#   SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) docker buildx bake --push
# With SOURCE_DATE_EPOCH and rewrite-timestamp the digest of the small image follows from the source and the two base
# images alone. That of the fuller one does not: Debian's packages come in the version of the day.
variable "REGISTRY" { default = "holdfast" }
variable "VERSION" { default = "0.1.0" }
variable "REVISION" { default = "unknown" }

group "default" { targets = ["holdfast", "with-fence-agents"] }

target "common" {
  platforms = ["linux/amd64", "linux/arm64"]
  args = { VERSION = VERSION, REVISION = REVISION }
  attest = ["type=sbom", "type=provenance,mode=max"]
  output = ["type=image,rewrite-timestamp=true"]
}

target "holdfast" {
  inherits = ["common"]
  target = "holdfast"
  tags = ["${REGISTRY}:${VERSION}"]
}

target "with-fence-agents" {
  inherits = ["common"]
  target = "with-fence-agents"
  tags = ["${REGISTRY}:${VERSION}-fence-agents"]
}

# The program alone, statically linked, as nobody. It reaches its servo with --device (20 is dialout):
#
#   docker run --device /dev/serial/by-id/...:/dev/ttyUSB0 --group-add 20 -v plate-resort:/state \
#     -e PLATE_RESORT_DEVICE_ID=lab1 -e PLATE_RESORT_MQTT_BROKER=tcp://broker.lab:1883 plate-resort
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETARCH
# GOARM is for arm alone: any Raspberry Pi.
RUN CGO_ENABLED=0 GOARCH=$TARGETARCH GOARM=6 go build -trimpath -ldflags='-s -w' -o /plate-resort .
RUN mkdir /state

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /plate-resort /plate-resort
COPY --from=build --chown=65534:65534 /state /state
ENV PLATE_RESORT_STATE_DIR=/state
VOLUME /state
USER 65534:65534
HEALTHCHECK --interval=30s --timeout=15s --start-period=30s CMD ["/plate-resort", "check"]
ENTRYPOINT ["/plate-resort"]
CMD ["run"]

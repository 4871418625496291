# SPDX-License-Identifier: ISC
# starttlsd in an image of its own: the program, its libraries, nothing else. No shell, no root.
#
#   docker build -t starttlsd .
#   docker run -v /etc/starttlsd:/etc/starttlsd:ro -p 25:2525 starttlsd
#
# The INI file is /etc/starttlsd/starttlsd.ini; it and the keys must be readable by user 65532. Listen on
# high ports such as *:2525 and publish them as 25 or 587: not every engine lets a user bind low ones.
FROM debian:bookworm-slim AS build
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    gcc libc6-dev make libssl-dev libev-dev libinih-dev ca-certificates
WORKDIR /src
COPY Makefile ./
COPY protocols protocols
COPY config config
COPY proxy proxy
RUN make all
# An image for `FROM scratch`: what ldd names (its loader too), one user, the system's CAs, and openssl.cnf.
RUN mkdir -p /out/usr/sbin /out/etc/ssl/certs /out/etc/starttlsd /out/usr/lib/ssl && mkdir -m 1777 /out/tmp && \
    cp build/release/starttlsd /out/usr/sbin/ && strip /out/usr/sbin/starttlsd && \
    ldd /out/usr/sbin/starttlsd | grep -oE '/[^ )]+' | sort -u | xargs -I{} cp --parents -L {} /out/ && \
    echo 'starttlsd:x:65532:65532::/nonexistent:/sbin/nologin' >/out/etc/passwd && \
    echo 'starttlsd:x:65532:' >/out/etc/group && \
    cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ && \
    cp /etc/ssl/openssl.cnf /out/etc/ssl/ && ln -s /etc/ssl/openssl.cnf /out/usr/lib/ssl/openssl.cnf

FROM scratch
COPY --from=build /out/ /
USER 65532:65532
EXPOSE 2525
# SIGTERM drains (drain_timeout, 25s): give `docker stop` a few seconds more than that.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/sbin/starttlsd"]
CMD ["run"]

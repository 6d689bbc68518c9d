# streamseg for machines without a GPU, linux/amd64 and linux/arm64:
#
#   docker buildx build --platform linux/amd64,linux/arm64 -t streamseg .
#
# The first stage runs on the builder's own processor and installs the wheels of the target's, so that building for
# the other processor needs no emulator; the last stage runs no command, it only copies.

ARG PYTHON=3.11

FROM --platform=$BUILDPLATFORM python:${PYTHON}-slim-bookworm AS build
ARG TARGETARCH
ARG EXTRAS=serve
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY streamseg streamseg

RUN case "$TARGETARCH" in \
      amd64) machine=x86_64 ;; \
      arm64) machine=aarch64 ;; \
      *) echo "TARGETARCH is '$TARGETARCH'. Allowed: amd64, arm64. Build with 'docker buildx build'." >&2; exit 1 ;; \
    esac; \
    # every glibc that Debian 12 runs: 2.36 and older
    mapfile -t platforms < <(seq -f "--platform=manylinux_2_%g_$machine" 36 -1 17); \
    platforms+=("--platform=manylinux2014_$machine"); \
    install=(python -m pip install --target /opt/streamseg --only-binary :all: "${platforms[@]}" \
             --constraint constraints.txt); \
    python -m pip wheel --no-deps --wheel-dir /tmp/wheel .; \
    "${install[@]}" "$(echo /tmp/wheel/*.whl)[$EXTRAS]"; \
    # opencv-python has windows, which need libGL; a container shows none, and headless is smaller
    rm -r /opt/streamseg/cv2 /opt/streamseg/opencv_python*; \
    "${install[@]}" --no-deps opencv-python-headless; \
    # the tests of NumPy, SciPy and scikit-learn
    find /opt/streamseg/{numpy,scipy,sklearn} -type d -name tests -prune -exec rm -r {} +; \
    mkdir -p /var/lib/streamseg

FROM python:${PYTHON}-slim-bookworm
LABEL org.opencontainers.image.title="streamseg" \
      org.opencontainers.image.description="Background removal for videos, pictures and a live camera" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/streamseg /opt/streamseg
# the user's own folder: a new volume takes its owner
COPY --from=build --chown=10001:10001 /var/lib/streamseg /var/lib/streamseg
ENV PATH=/opt/streamseg/bin:$PATH PYTHONPATH=/opt/streamseg PYTHONDONTWRITEBYTECODE=1 HOME=/var/lib/streamseg
USER 10001:10001
WORKDIR /work
VOLUME /var/lib/streamseg
EXPOSE 7000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-I", "-c", \
    "from http.client import HTTPConnection as C; c = C('127.0.0.1', 7000, timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["streamseg"]
CMD ["serve", "--host", "0.0.0.0", "--folder", "/var/lib/streamseg"]

# The server over streamable HTTP, for callers who show an access token; without build tools and without root.
FROM python:3.13-slim AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /app
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-default-groups --all-extras --no-install-project
COPY README.md LICENSE ./
COPY runway_mcp ./runway_mcp
RUN uv sync --locked --no-default-groups --all-extras --no-editable

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin runway \
    && install -d -o 10001 -m 700 /var/lib/runway-mcp
COPY --from=build /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 RUNWAY_MCP_STATE_DIR=/var/lib/runway-mcp
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000, timeout=3); c.request('GET', '/healthz'); exit(c.getresponse().status != 200)"]
ENTRYPOINT ["runway-mcp"]
# Whoever runs it mounts the tokens file and names the hosts that are asked for: RUNWAY_MCP_ALLOWED_HOST.
CMD ["--transport", "streamable-http", "--host", "0.0.0.0", "--auth", "token", "--tokens-file", "/etc/runway-mcp/tokens.toml"]

# Three images from one file:
#   docker build --target operator -t modelops .             the operator with its dataset and evaluation programs
#   docker build --target mcp -t modelops-mcp .          the MCP server for chat clients and agents: docs/guides/mcp.md
#   docker build --target agent -t modelops-agent .          an example agent to copy: docs/examples/agent
# BASE may be any image with python3 of version 3.11 to 3.13, its venv module, and ca-certificates.
ARG BASE=docker.io/library/python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285

# Tools of the build; nothing of this stage is in an image.
FROM ${BASE} AS tools
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 SOURCE_DATE_EPOCH=1764374400
WORKDIR /src
COPY requirements/image.txt requirements/
RUN python3 -m venv /tools && /tools/bin/pip install -q --require-hashes -r requirements/image.txt

FROM tools AS wheel
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
COPY config/modelops config/modelops
COPY config/kind config/kind
COPY requirements/train.txt requirements/
COPY tests/contract/routing_vectors.json tests/contract/
RUN /tools/bin/hatchling build -t wheel -d /dist

# The requirements come first, so that a change of the code does not install them again.
FROM tools AS operator-environment
COPY requirements/operator.txt requirements/
RUN python3 -m venv /opt/modelops && /opt/modelops/bin/pip install -q --require-hashes -r requirements/operator.txt
COPY --from=wheel /dist /dist
RUN /opt/modelops/bin/pip install -q --no-deps --no-index /dist/*.whl \
    && /opt/modelops/bin/pip uninstall -q -y pip \
    && /tools/bin/cyclonedx-py environment --output-reproducible --of JSON -o /opt/modelops/sbom.cdx.json \
       /opt/modelops/bin/python3

FROM tools AS mcp-environment
COPY requirements/mcp.txt requirements/
RUN python3 -m venv /opt/modelops && /opt/modelops/bin/pip install -q --require-hashes -r requirements/mcp.txt
COPY --from=wheel /dist /dist
RUN /opt/modelops/bin/pip install -q --no-deps --no-index /dist/*.whl \
    && /opt/modelops/bin/pip uninstall -q -y pip \
    && /tools/bin/cyclonedx-py environment --output-reproducible --of JSON -o /opt/modelops/sbom.cdx.json \
       /opt/modelops/bin/python3

FROM tools AS agent-environment
COPY requirements/agent.txt requirements/
RUN python3 -m venv /opt/agent && /opt/agent/bin/pip install -q --require-hashes -r requirements/agent.txt
COPY --from=wheel /dist /dist
RUN /opt/agent/bin/pip install -q --no-deps --no-index /dist/*.whl \
    && /opt/agent/bin/pip uninstall -q -y pip \
    && /tools/bin/cyclonedx-py environment --output-reproducible --of JSON -o /opt/agent/sbom.cdx.json \
       /opt/agent/bin/python3

# A numeric user, so that Kubernetes can see that it is not root. The root file system may be read-only: what is written
# goes to MODELOPS_STATE_DIR and /tmp.
FROM ${BASE} AS operator
COPY --from=operator-environment /opt/modelops /opt/modelops
COPY LICENSE /opt/modelops/
ENV PATH=/opt/modelops/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    MODELOPS_STATE_DIR=/var/lib/modelops HOME=/var/lib/modelops
RUN mkdir -p /var/lib/modelops && chown 65532:65532 /var/lib/modelops
USER 65532:65532
WORKDIR /var/lib/modelops
EXPOSE 8080 8081
ENTRYPOINT ["python3", "-m", "modelops.runtime"]

FROM ${BASE} AS mcp
COPY --from=mcp-environment /opt/modelops /opt/modelops
COPY LICENSE /opt/modelops/
ENV PATH=/opt/modelops/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 65532:65532
WORKDIR /opt/modelops
EXPOSE 8765
ENTRYPOINT ["modelops", "mcp"]

FROM ${BASE} AS agent
COPY --from=agent-environment /opt/agent /opt/agent
COPY LICENSE docs/examples/agent/agent.py /opt/agent/
ENV PATH=/opt/agent/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /opt/agent
EXPOSE 8000
# An empty host is every address, IPv6 and IPv4.
ENTRYPOINT ["uvicorn", "agent:app", "--host", "", "--port", "8000"]

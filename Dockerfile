# blbsim in a container. The commands below are the ones tests/contract/test_contract_docker.py runs.
FROM python:3.11-slim

RUN useradd --create-home --uid 10001 blbsim
WORKDIR /opt/blbsim
COPY pyproject.toml README.md ./
COPY simulator ./simulator
RUN python -m pip install --no-cache-dir .

USER blbsim
WORKDIR /home/blbsim
RUN mkdir data
COPY scenarios /scenarios
VOLUME /home/blbsim/data

# 7400 BCE APIs and admin, 7401 BOS (not served yet), 7402 S3, 18080 the quickstart's listener.
EXPOSE 7400 7401 7402 18080

HEALTHCHECK --interval=2s --timeout=3s --start-period=20s --retries=10 \
  CMD ["blbsim", "wait", "--until", "ready", "--timeout", "1s"]

ENTRYPOINT ["blbsim"]
CMD ["up", "/scenarios/quickstart.yaml", "--host", "0.0.0.0", "--data-dir", "/home/blbsim/data"]

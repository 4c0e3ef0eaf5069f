# msfp on a CPU; results go to the folder mounted at /here:
#   docker build -t msfp . && docker run --rm -v "$PWD/here:/here" msfp reproduce
FROM python:3.12-slim

# OpenCV's libraries; PyTorch's build without CUDA is a tenth of the other's size.
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY msfp msfp
COPY notebooks notebooks
RUN pip install --no-cache-dir -c constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu . \
    && rm -rf /src
WORKDIR /here
ENTRYPOINT ["msfp"]
CMD ["--help"]

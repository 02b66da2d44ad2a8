"""nginx as the yardstick and as the server behind: its configurations."""

import resource
import shutil
from pathlib import Path
from typing import Final

from benchmarks.processes import Process
from simulator.model.tls import CertificateFiles

CIPHERS: Final = "ECDHE-ECDSA-AES128-GCM-SHA256"
"""What both proxies speak over TLS 1.2, with a certificate on P-256."""
_COMMON: Final = """\
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log crit;
events {{ worker_connections {connections}; }}
http {{
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 1000000000;
{http}
}}
"""
_BACKEND: Final = """\
    access_log off;
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        root {directory}/files;
        # Files do not take POST: answer with the file all the same.
        error_page 405 =200 $uri;
    }}
"""
# The 28 fields under the names they have there, as far as nginx knows them.
_PROXY: Final = """\
    log_format record escape=json '{{"time_local":"$time_local","vip":"10.0.1.5","vport":80,'
        '"response_status":$status,"vdum_ups_id":"sg-11bd8054","upstream_addr":"$upstream_addr",'
        '"upstream_status":"$upstream_status","remote_addr":"$remote_addr","cip":"$remote_addr",'
        '"cport":$remote_port,"server_addr":"10.0.1.5","server_port":80,"scheme":"$scheme",'
        '"host":"$host","request":"$request","request_length":$request_length,'
        '"body_bytes_sent":$body_bytes_sent,"http_referer":"$http_referer",'
        '"http_user_agent":"$http_user_agent","http_x_forwarded_for":"$http_x_forwarded_for",'
        '"upstream_connect_time":"$upstream_connect_time",'
        '"upstream_response_time":"$upstream_response_time","request_time":$request_time,'
        '"ssl_handshake_time":"-","ssl_session_reused":"$ssl_session_reused",'
        '"vdum_rs_proto":"http","upstream_local_addr":"100.64.3.9",'
        '"extension_log":"lb-0d29a3f6&0&0&0"}}';
    access_log {directory}/access.log record;
    upstream group {{ server 127.0.0.1:{backend_port}; keepalive 256; }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        listen 127.0.0.1:{tls_port} ssl backlog=1024;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2;
        ssl_ciphers {ciphers};
        location / {{
            proxy_pass http://group;
            # A response as fast as its client, without a detour over the disk.
            proxy_max_temp_file_size 0;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
"""


def find_nginx() -> str | None:
    """The nginx of this machine."""
    return shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


def backend(program: str, directory: Path, port: int, sizes: dict[str, int]) -> Process:
    """nginx serving files of the given sizes."""
    files = directory / "files"
    files.mkdir(parents=True)
    for name, size in sizes.items():
        with (files / name).open("wb") as file:
            # Large ones are holes, which take no room.
            file.write(b"r" * min(size, 1_000_000))
            file.truncate(size)
    http = _BACKEND.format(directory=directory, port=port)
    return _process("backend", program, directory, port, http)


def proxy(
    program: str,
    directory: Path,
    ports: tuple[int, int],
    backend_port: int,
    certificate: CertificateFiles,
) -> Process:
    """nginx as a proxy that logs the record of every request in JSON, for HTTP and HTTPS."""
    directory.mkdir(parents=True)
    http = _PROXY.format(
        directory=directory,
        port=ports[0],
        tls_port=ports[1],
        backend_port=backend_port,
        certificate=certificate.certificate,
        key=certificate.key,
        ciphers=CIPHERS,
    )
    return _process("nginx", program, directory, ports[0], http, tls_port=ports[1])


def _process(
    name: str, program: str, directory: Path, port: int, http: str, tls_port: int = 0
) -> Process:
    configuration = directory / "nginx.conf"
    # For a proxy two descriptors a connection, and some.
    connections = min(24_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 64)
    configuration.write_text(
        _COMMON.format(directory=directory, http=http, connections=connections)
    )
    command = [program, "-p", str(directory), "-c", str(configuration)]
    return Process(name, [*command, "-e", str(directory / "error.log")], port, tls_port=tls_port)

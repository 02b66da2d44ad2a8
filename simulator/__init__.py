"""A local simulator of Baidu AI Cloud's load balancer, flow logs, log service and object store."""

__version__ = "0.1.0"

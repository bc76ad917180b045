"""Tasks over the machines of a Ray cluster. Imports Ray only where it is used."""

from bytemlperf.launch.cluster.session import run_cluster_session

__all__ = ["run_cluster_session"]
